"""`oqm trace` and `oqm search` as a person meets them at night: readable lines, narrow terminals, typing errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cli.call_lines import SHOWN_CHARS, call_lines
from monitor.events.schema import Call, Model, OutputEvent
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place
from tests.cli.run_oqm import json_lines, oqm

NOON = 20_000 * 86_400.0 + 43_200.0


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with twenty outputs; every fourth violates `short`."""
    folder = tmp_path_factory.mktemp("store") / "traces"
    made = Incoming()
    events = [
        OutputEvent(
            id=f"e{n}", stream="shop/answers" if n % 2 else "shop/triage", time=NOON + n, output="word " * 300,
            input=f"where is order {n}, mail ann@example.com", model=Model(name="m", version="v8" if n > 9 else "v7"),
            calls=[Call(dependency="crm", operation="get", status=503, duration_s=0.25, time=NOON,
                        error="timed out", response={"token": "abc", "rows": list(range(400))})],
            steps=[{"name": "plan", "status": "ok", "started_at": "2026-11-30T09:12:44Z"}, "free text"],
        )
        for n in range(20)
    ]  # fmt: skip
    made.add_outputs([(one, Place("t", 0, n, NOON + n)) for n, one in enumerate(events)], Privacy())
    made.violations += [
        {"day": 20_000, "topic": "t", "partition": 0, "position": n, "criterion": "short"} for n in range(0, 20, 4)
    ]
    store = open_store(str(folder))
    store.write(made)
    store.close()
    return folder


def test_steps_and_calls_are_lines_with_status_time_and_what_came_back(traces: Path) -> None:
    shown = oqm("trace", "e3", "--store", str(traces)).stdout
    assert "  1. crm.get: 503, 0.25 s, 2024-10-04 12:00:00 UTC" in shown
    assert "     error: timed out" in shown
    assert '     response: {"token":"[masked secret]","rows":[0,1,2' in shown
    assert "characters are stored: --json)" in shown
    assert "  1. plan: ok, 2026-11-30T09:12:44Z" in shown
    assert "  2. free text" in shown
    (whole,) = json_lines(oqm("trace", "e3", "--store", str(traces), "--json").stdout)
    assert whole["fields"]["calls"][0]["response"]["rows"][-1] == 399
    assert "ann@example.com" not in shown


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--check", "short", "--stream", "shop/triage", "--limit", "2"], ["e16", "e12"]),
        (["--version", "V8", "--stream", "*answers", "--limit", "1"], ["e19"]),
        (["--text", "ORDER 7,"], ["e7"]),
        (["--since", "2024-10-04T12:00:18", "--until", "2024-10-04T12:00:19"], ["e18"]),
    ],
)
def test_search_narrows(traces: Path, options: list[str], ids: list[str]) -> None:
    found = json_lines(oqm("search", "--store", str(traces), "--json", *options).stdout)
    assert [one["id"] for one in found] == ids


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_a_table_fits_the_terminal_and_has_every_id(traces: Path, columns: str) -> None:
    shown = oqm("search", "--store", str(traces), "--limit", "3", COLUMNS=columns).stdout
    assert all(len(line) <= int(columns) for line in shown.splitlines())
    assert all(f"e{n}" in shown for n in (19, 18, 17))


def test_a_check_that_no_criterion_has_is_said_to_be_unknown(traces: Path, tmp_path: Path) -> None:
    config = tmp_path / "m.yaml"
    config.write_text('streams:\n  - match: "*"\n    criteria: [{name: short, check: {contains: x}}]\n')
    wrong = oqm("search", "--store", str(traces), "--check", "shrt", "--config", str(config))
    assert wrong.returncode == 1
    assert "no criterion has the name shrt, did you mean `short`?" in wrong.stderr


def test_what_is_no_record_is_shown_as_it_is() -> None:
    assert list(call_lines("text")) == ["text"]
    assert list(call_lines({})) == ["step"]
    assert list(call_lines({"error": "boom"})) == ["step: failed", "error: boom"]
    assert list(call_lines({"name": 5, "x": None})) == ["step", 'also: {"name":5}']
    (long,) = call_lines("y" * 5_000)
    assert len(long) < SHOWN_CHARS + 60
