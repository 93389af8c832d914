"""`oqm quality` and the judgments in `oqm trace`, over a store that was written from records of the log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from monitor.events.schema import OutputEvent
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Place
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm, oqm_process
from tests.store.judged_stream import TOPICS, Log, judgment, output_rows


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a judged and checked stream, one whose evaluator changed, and one that nobody judged."""
    folder = tmp_path_factory.mktemp("store") / "traces"
    now = time.time()
    log = Log(now)
    languages = ["pl" if n % 4 == 0 else "en" for n in range(200)]
    strata = ["risky+uniform" if n < 20 else "uniform" for n in range(200)]
    checked = [float(n < 10) for n in range(200)]
    log.append(output_rows(range(200), strata=strata, languages=languages, short=checked, time=now))
    for n in range(100):
        rules = ("risky", "uniform") if n < 20 else ("uniform",)
        passed = None if n % 20 == 7 else n % 4 != 0
        log.append(judgment(n, passed, rules=rules, slices={"language": languages[n]}, time=now))
    log.append(output_rows(range(100), stream="moved", time=now - 7_200))
    for n in range(20):
        log.append(judgment(n, stream="moved", identity=f"i{n // 10}", time=now - 7_200 + n, place=None))
    log.append(output_rows(range(5), stream="mute", time=now))
    incoming = log.rows()
    event = OutputEvent(id="e8", stream="support", time=now, output="No.", input="Can you help?")
    incoming.add_output(event, Place(TOPICS.outputs.id, 0, 8, now), Privacy())
    store = open_store(str(folder))
    store.write(incoming)
    store.close()
    return folder


@pytest.fixture(scope="module")
def settings(traces: Path) -> Path:
    path = traces.parent / "monitor.yaml"
    path.write_text(
        f"store: {{location: {traces}, segment: attributes.tenant}}\n"
        "evaluators: [{kind: chat, name: main, url: 'http://127.0.0.1:1/v1', model: m}]\n"
        "streams: [{match: '*', criteria: [{name: helpful, pass: helps, evaluator: main}]}]\n"
    )
    return path


def records(*arguments: str | Path) -> list[dict[str, Any]]:
    done = oqm("quality", "--json", *arguments)
    assert done.returncode == 0, done
    return json_lines(done.stdout)


def test_a_rate_has_its_interval_and_everything_to_read_it(traces: Path) -> None:
    found = {one["criterion"]: one for one in records("--store", traces, "--stream", "sup*")}
    helpful = found["helpful"]
    assert helpful["low"] < helpful["rate"] < helpful["high"]
    assert (helpful["judged"], helpful["missing"], helpful["people"], helpful["seen"]) == (95, 5, 0, 200)
    assert (helpful["always_valid"], helpful["level"], helpful["evaluator"]) == (True, 0.95, "main")
    assert helpful["sampled_share"] == pytest.approx(0.5)
    assert helpful["if_missing"][0] < helpful["rate"] < helpful["if_missing"][1]
    assert (found["short"]["method"], found["short"]["rate"]) == ("every_output", 0.95)


def test_the_table_gives_no_rate_without_interval_number_and_what_limits_it(traces: Path) -> None:
    done = oqm("quality", "--store", traces, COLUMNS="80")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    for part in ("helpful", "95 of 200", " to ", "exact", "no person has looked", "have no verdict", "2 evaluators"):
        assert part in " ".join(done.stdout.split()), part


def test_a_narrow_terminal_and_a_pipe_show_the_same(traces: Path) -> None:
    narrow = oqm("quality", "--store", traces, COLUMNS="40")
    assert max(map(len, narrow.stdout.splitlines())) <= 40
    assert "95 judged of 200 seen" in " ".join(narrow.stdout.split())
    piped = oqm_process("quality", "--store", traces)
    assert "95 of 200" in piped.stdout
    assert "\x1b" not in piped.stdout


def test_slices_show_where_a_prompt_breaks(traces: Path) -> None:
    found = records("--store", traces, "--stream", "support", "--criterion", "helpful", "--slice", "language")
    rates = {one["by"]["language"]: one["rate"] for one in found}
    assert rates == {"en": 1.0, "pl": 0.0}
    (polish,) = records("--store", traces, "--criterion", "helpful", "--slice", "language=pl", "--stream", "support")
    assert (polish["rate"], polish["seen"]) == (0.0, 50)
    shown = oqm("quality", "--store", traces, "--stream", "support", "--slice", "language", COLUMNS="80").stdout
    assert " 100 %" in shown  # all English ones passed: with the lower end of its interval beside it
    assert " to 100" in shown


def test_one_look_is_narrower_and_says_what_it_is_for(traces: Path) -> None:
    live, once = (
        records("--store", traces, "--stream", "support", "--criterion", "helpful", *more)[0]
        for more in ([], ["--one-look"])
    )
    assert once["high"] - once["low"] < live["high"] - live["low"]
    assert once["always_valid"] is False
    assert "for one look" in oqm("quality", "--store", traces, "--one-look").stdout


def test_what_nobody_judged_cannot_be_told(settings: Path) -> None:
    (mute,) = records("--config", settings, "--stream", "mute")
    assert (mute["rate"], mute["low"], mute["high"], mute["judged"], mute["seen"]) == (None, None, None, 0, 5)
    shown = oqm("quality", "--config", settings, "--stream", "mute").stdout
    assert "cannot tell" in shown
    assert "%" not in shown.replace("95 %", "")


def test_versions_of_an_evaluator_have_a_row_each(traces: Path) -> None:
    found = records("--store", traces, "--stream", "moved")
    assert sorted(one["identity"] for one in found) == ["i0", "i1"]
    assert [one["judged"] for one in found] == [10, 10]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--slice", "tone"], "must be one of language, length, noise, mixed"),
        (["--slice", "length=tiny"], "must be one of short, medium, long, very_long, unknown"),
        (["--segment", "attributes.city"], "must be one of model, prompt, attributes.tenant"),
        (["--slice", "noise", "--slice", "noise=clean"], "given twice"),
        (["--criterion", "helpfull"], "there are helpful, short"),
        (["--slice", "language="], "needs a value"),
        (["--segment", "=7"], "must be one of model, prompt"),
        (["--since", "tomorrow"], "--since tomorrow: must be a time"),
        (["--since", "2999-01-01"], "lies in the future"),
        (["--store", "/nowhere/at/all"], "holds no trace store"),
    ],
)
def test_wrong_arguments_get_one_clear_error(settings: Path, arguments: list[str], says: str) -> None:
    assert says in one_line_of_error(oqm("quality", "--config", settings, *arguments))


def test_without_a_store_or_outputs_it_says_what_to_do(traces: Path) -> None:
    assert "--store" in one_line_of_error(oqm("quality"))
    done = oqm("quality", "--store", traces, "--stream", "absent")
    assert (done.returncode, done.stdout) == (1, "")
    assert "counted no outputs of streams named absent" in done.stderr


def test_a_value_that_is_not_there_is_answered_with_those_that_are(traces: Path) -> None:
    done = oqm("quality", "--store", traces, "--stream", "support", "--slice", "language=PL")
    assert (done.returncode, done.stdout) == (1, "")
    assert "language PL since" in done.stderr
    assert "there are language en, pl" in done.stderr


def test_trace_shows_the_judgments_of_an_output(traces: Path) -> None:
    shown = oqm("trace", "e8", "--store", traces).stdout
    assert "helpful: failed, by main, drawn at 0.5" in shown
    assert "It answers." in shown
    (record,) = json_lines(oqm("trace", "e8", "--store", traces, "--json").stdout)
    assert [one["passed"] for one in record["judgments"]] == [False]  # not that of `moved`, which uses the same id
