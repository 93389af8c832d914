"""`oqm replay`: the surface by which others read findings, so its every promise is held here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from monitor.demo.assistant import ANSWER, SupportAssistant
from monitor.demo.faults import Fault
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm, oqm_process

REQUIRED = {
    "stream", "state", "id", "kind", "cause", "driver", "raised_at", "began_at", "features", "segment", "examples",
    "title", "severity", "runbook", "schema_version",
}  # fmt: skip


def write_events(path: Path, n: int, fault: Fault = Fault.NONE, since: int = 10**9, seed: int = 3) -> Path:
    assistant = SupportAssistant(seed)
    with path.open("wb") as file:
        for k in range(n):
            event = assistant.event(1.7e9 + k, fault if k >= since else Fault.NONE, float(max(0, k - since)))
            file.write(msgspec.json.encode(event) + b"\n")
    return path


def of_stream(name: str, path: Path, *, first: float, every: float, change: int = 10**9, rows: int = 1000) -> None:
    """Rows of one stream, of which the answers are three times as long from the change on."""
    assistant = SupportAssistant(5)
    with path.open("wb") as file:
        written = 0
        while written < rows:
            event = assistant.event(first, Fault.NONE, 0.0)
            if event.stream != ANSWER:
                continue
            text = event.output or ""
            when = first + every * written
            changed = {
                "id": f"{name}{written}",
                "stream": name,
                "time": when,
                "output": " ".join([text] * (3 if written >= change else 1)),
            }
            file.write(msgspec.json.encode({**changed, "input": event.input}) + b"\n")
            written += 1


def said(findings: list[dict[str, object]]) -> str:
    """What the last line says of these findings: a revision is no finding more."""
    findings = [finding for finding in findings if not finding["revision"] or finding["state"] != "firing"]
    states = Counter(str(finding["state"]) for finding in findings)
    many = "finding" if len(findings) == 1 else "findings"
    return f"{len(findings)} {many} ({', '.join(f'{count} {state}' for state, count in states.items())})"


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("replay") / "swapped.jsonl", 3000, Fault.SILENT_UPDATE, since=2000)


def test_json_lines_say_what_changed_since_when(swapped: Path) -> None:
    done = oqm("replay", swapped, "--json")
    assert done.returncode == 0, done.stderr
    findings = json_lines(done.stdout)
    assert done.stderr == f"3,000 events in 2 streams, judged from event 201 on: {said(findings)}\n"
    schema = json.loads(oqm("schema", "finding").stdout)
    for finding in findings:
        assert set(finding) >= REQUIRED
        assert finding["state"] in {"firing", "resolved", "info"}
        Draft202012Validator(schema).validate(finding)
    firing = [finding for finding in findings if finding["state"] == "firing"]
    assert {finding["stream"] for finding in firing} == {ANSWER}
    first = firing[0]
    # `index` counts the stream's own events from 0, and the change is after 2,000 events of both streams.
    records = [json.loads(line) for line in swapped.read_text().splitlines()]
    change = sum(record["stream"] == ANSWER for record in records[:2000])
    assert change <= first["raised_at"]["index"] < change + 200
    assert abs(first["began_at"]["index"] - change) <= 10
    assert first["began_at"]["low"] <= first["began_at"]["index"] <= first["began_at"]["high"]
    of_stream = [record for record in records if record["stream"] == ANSWER]
    assert of_stream[first["raised_at"]["index"]]["id"] == first["raised_at"]["event_id"]
    assert any(change["name"].startswith("output.length.") for change in first["features"])
    ids = [record["id"] for record in of_stream]
    assert all(ids.index(identity) < change + 10 for identity in first["examples"]["before"])
    assert all(ids.index(identity) >= change - 10 for identity in first["examples"]["after"])


def test_the_exit_code_is_for_builds(swapped: Path, tmp_path: Path) -> None:
    assert oqm_process("replay", swapped, "--json", "--fail-on-finding").returncode == 1
    calm = write_events(tmp_path / "calm.jsonl", 1500)
    done = oqm("replay", calm, "--json", "--fail-on-finding")
    assert done.returncode == 0, done.stdout
    assert not [finding for finding in json_lines(done.stdout) if finding["state"] == "firing"]


def test_cut_into_several_files_or_read_twice_the_findings_are_the_same(swapped: Path, tmp_path: Path) -> None:
    whole = oqm("replay", swapped, "--json").stdout
    assert whole
    lines = swapped.read_bytes().splitlines(keepends=True)
    parts = []
    for k, (start, end) in enumerate([(0, 777), (777, 2100), (2100, 3000)]):
        parts.append(tmp_path / f"part{k}.jsonl")
        parts[-1].write_bytes(b"".join(lines[start:end]))
    assert oqm("replay", *parts, "--json").stdout == whole


def test_a_table_for_people(swapped: Path) -> None:
    done = oqm("replay", swapped, COLUMNS="140")
    assert done.returncode == 0
    assert "firing" in done.stdout
    assert ANSWER in done.stdout


def test_too_few_events_are_no_clean_bill(swapped: Path) -> None:
    for more in ((), ("--fail-on-finding",), ("--json",), ("--what-if",)):
        done = oqm("replay", swapped, "--limit", "150", *more, COLUMNS="500")
        assert done.returncode == 3, "neither fine nor found"
        last = (done.stderr if more == ("--json",) else done.stdout).splitlines()[-1]
        assert last.startswith("150 events in 2 streams: cannot tell whether anything changed")
        assert last.count(" of 200") == 2
        assert "No findings" not in done.stdout


def test_the_last_line_says_how_much_was_watched(tmp_path: Path) -> None:
    calm = write_events(tmp_path / "calm.jsonl", 600)
    lines = calm.read_text().splitlines()
    of_one = [line for line in lines if json.loads(line)["stream"] == ANSWER]
    done = oqm("replay", calm)
    assert done.returncode == 0
    assert done.stdout == (
        "600 events in 2 streams, 1 judged from event 201 on: no findings; 1 not judged yet "
        f"(support-bot/triage has {600 - len(of_one)} of 200)\n"
    )
    broken = tmp_path / "broken.jsonl"
    broken.write_text("\n".join([*of_one[:300], "{", "[]", of_one[299], *of_one[300:]]))
    done = oqm("replay", broken, "--json")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == (
        f"{len(of_one):,} events in 1 stream (2 rows skipped, 1 duplicate), judged from event 201 on: no findings"
    )


def test_findings_do_not_depend_on_other_streams_or_on_the_order_of_files(tmp_path: Path) -> None:
    """One stream's rows are close together and end early: on a shared clock its blocks would end elsewhere, and its
    end would be silence.
    """
    swapped, late = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    of_stream("a", swapped, first=1.79e9, every=0.9, change=700)
    of_stream("b", late, first=1.79e9 + 100, every=3.7, change=800)
    alone = {path: oqm("replay", path, "--json").stdout for path in (swapped, late)}
    assert all(alone.values()), "both have something to be found"
    together = oqm("replay", swapped, late, "--json").stdout
    assert oqm("replay", late, swapped, "--json").stdout == together
    mixed = tmp_path / "mixed.jsonl"
    rows = [json.loads(line) for path in (late, swapped) for line in path.read_text().splitlines()]
    mixed.write_text("".join(json.dumps(row) + "\n" for row in sorted(rows, key=lambda row: row["time"])))
    for found in (together, oqm("replay", mixed, "--json").stdout):
        for name, path in (("a", swapped), ("b", late)):
            own = [line for line in found.splitlines(keepends=True) if json.loads(line)["stream"] == name]
            assert "".join(own) == alone[path]
    tried = [
        json_lines(oqm("replay", *paths, "--try", "floors.number=0.5", "--json").stdout)
        for paths in ((swapped,), (late, swapped))
    ]
    assert tried[0] == [row for row in tried[1] if row["stream"] == "a"]


def test_rows_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    oldest, newest = tmp_path / "oldest.jsonl", tmp_path / "newest.jsonl"
    of_stream("a", oldest, first=1.79e9, every=10.0, change=700)
    newest.write_text("".join(reversed(oldest.read_text().splitlines(keepends=True))))
    done = oqm("replay", newest, "--json")
    assert done.stdout == oqm("replay", oldest, "--json").stdout != ""
    assert "newest.jsonl: the rows of stream 'a' were sorted by their times" in done.stderr
    lines = oldest.read_text().splitlines(keepends=True)
    parts = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    parts[0].write_text("".join(lines[600:]))
    parts[1].write_text("".join(lines[:600]))
    assert oqm("replay", *parts, "--json").stdout == done.stdout


@pytest.mark.parametrize("wrong", [0, "0001-01-01T00:00:00Z", -1, 4.9e9])
def test_one_time_that_cannot_be_right_is_no_finding(tmp_path: Path, wrong: float | str) -> None:
    path = tmp_path / "a.jsonl"
    of_stream("a", path, first=1.79e9, every=10.0)
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), "time": wrong}), *rest]))
    done = oqm("replay", path, "--json", "--fail-on-finding")
    assert (done.returncode, done.stdout) == (0, "")
    assert "has times that cannot be right, which are taken as missing (1 row, such as " in done.stderr


def test_a_file_without_rows_cannot_tell(tmp_path: Path) -> None:
    for name, content in (("empty.jsonl", ""), ("empty.csv", ""), ("header.csv", "output,input\n"), ("b.jsonl", "\n")):
        path = tmp_path / name
        path.write_text(content)
        done = oqm("replay", path, "--fail-on-finding")
        assert (done.returncode, done.stdout) == (3, "0 events in 0 streams: nothing could be judged\n")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"PAR1\0\0\0", "is a Parquet file; name it .parquet"),
        ("a.csv", b"PK\x03\x04\0\0", "ZIP"),
        ("a.jsonl", b"\x7fELF\0\0\0\0\0\0\0\0", "is no text"),
        ("a.csv", "output\nhi\n".encode("utf-16-le"), "iconv -f UTF-16LE -t UTF-8"),
        ("a.parquet", b"", "is no Parquet file"),
        ("a.txt", b"hi", "cannot tell its format"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert words in one_line_of_error(oqm("replay", path))
    assert "folder" in one_line_of_error(oqm("replay", tmp_path))


def test_what_if_shows_what_each_candidate_would_have_raised(swapped: Path) -> None:
    tries = (
        "--try",
        "alert_budget=1 per 7d",
        "--try",
        "floors.number=0.5; alert_on=mix",
    )
    done = oqm("replay", swapped, "--json", *tries, "--fail-on-finding")
    assert done.returncode == 1, "something fired with the settings as they are"
    outcomes = [row for row in json_lines(done.stdout) if row["stream"] == ANSWER]
    assert [row["candidate"] for row in outcomes] == ["as configured", tries[1], tries[3]]
    assert [bool(row["fired"]) for row in outcomes] == [True, True, False]
    first = next(f for f in json_lines(oqm("replay", swapped, "--json").stdout) if f["state"] == "firing")
    assert outcomes[0]["first_alert"]["id"] == first["id"]
    assert outcomes[0]["first_alert"]["top_feature"] == first["features"][0]["name"]
    assert outcomes[1]["mean_run_length"] < outcomes[0]["mean_run_length"]
    table = oqm("replay", swapped, "--limit", "1200", "--what-if", COLUMNS="160").stdout
    for said in (ANSWER, "as configured", "without call.*", "alert_budget=1 per 7d"):
        assert said in table


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--try", "floors.nunber=1"), "floors.nunber"),
        (("--what-if", "--broker", "127.0.0.1:1"), "--past"),
        (("--past",), "one of the two"),
    ],
)
def test_what_cannot_be_tried_is_one_line(swapped: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in one_line_of_error(oqm("replay", swapped, *arguments))
    assert "--past" in one_line_of_error(oqm("replay"))


def test_a_reader_that_leaves_is_no_error(swapped: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'monitor.cli', 'features', sys.argv[1], '--json'],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "p.stdout.readline(); p.stdout.close()\n"
        "sys.stderr.write(p.stderr.read().decode()); sys.exit(p.wait())"
    )
    done = subprocess.run([sys.executable, "-c", code, swapped], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 141


def test_what_cannot_be_used_is_one_line(swapped: Path, tmp_path: Path) -> None:
    assert "no such file" in one_line_of_error(oqm_process("replay", swapped, tmp_path / "gone.jsonl"))
    config = tmp_path / "monitor.yaml"
    config.write_text("detection:\n  warmup: 1\n")
    assert "monitor.yaml:2" in one_line_of_error(oqm("replay", swapped, "--config", config))
    done = oqm_process("replay", swapped, "--broker", "127.0.0.1:1")
    assert "127.0.0.1:1" in one_line_of_error(done)


def test_records_of_which_none_is_an_event_are_no_clean_bill(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text('{"answer": "x"}\n' * 3)
    done = oqm("replay", file, "--json", "--fail-on-finding")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "none of 3 records is an output event" in done.stderr


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor of one stream raises from its event 500 on."""
    from monitor.detection import StreamMonitor

    real = StreamMonitor._judge

    def raising(self: StreamMonitor, rows: Any, first: int) -> Any:
        if self.stream == ANSWER and first >= 500:
            raise ValueError("what nobody foresaw")
        return real(self, rows, first)

    monkeypatch.setattr(StreamMonitor, "_judge", raising)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("more", [(), ("--json",), ("--what-if",)], ids=lambda more: more[0] if more else "table")
def test_a_stream_that_cannot_be_judged_is_no_silent_pass(swapped: Path, more: tuple[str, ...]) -> None:
    done = oqm("replay", swapped, *more)
    assert done.returncode == 3
    [line] = [line for line in done.stderr.splitlines() if "could not be judged" in line]
    assert line.startswith(f"could not be judged: {ANSWER}: not judged since event 5")
    assert "ValueError: what nobody foresaw" in line
    assert "Traceback" not in done.stderr


def test_names_beyond_the_cap_are_no_silent_pass(swapped: Path, tmp_path: Path) -> None:
    config = tmp_path / "monitor.yaml"
    config.write_text("worker: {max_streams: 1}\n")
    done = oqm("replay", swapped, "--config", config)
    assert done.returncode == 3
    assert "could not be judged: stream names: " in done.stderr
    assert "more names than worker.max_streams (1)" in done.stderr
