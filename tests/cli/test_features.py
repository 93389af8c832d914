"""`oqm features`: one object an event, exactly as the design gives it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tests.cli.run_oqm import json_lines, one_line_of_error, oqm


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_one_json_object_an_event_with_plain_values(tmp_path: Path) -> None:
    file = write(
        tmp_path / "bot.jsonl",
        {"id": "a", "output": "One two three.", "input": "Count, please.", "latency": {"total_s": 0.1}},
        {"stream": "other", "output": "", "finish_reason": "stop"},
    )
    done = oqm("features", file, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, second = json_lines(done.stdout)
    assert set(first) == {"id", "stream", "features"}
    assert (first["id"], first["stream"], second["stream"]) == ("a", "bot", "other")
    assert second["id"].endswith("bot.jsonl:2")
    features = first["features"]
    assert features["output.length.chars"] == 14
    assert features["output.length.words"] == 3
    assert features["call.latency.total_s"] == 0.1  # and not 0.10000000149, its nearest float32
    assert features["output.length.empty"] is False
    assert second["features"]["output.length.empty"] is True
    assert second["features"]["call.latency.total_s"] is None  # missing is missing, never zero
    assert second["features"]["call.outcome.finish_reason"] == "stop"
    assert not any(isinstance(value, list) for value in features.values())  # vectors are left out
    assert list(features) == list(second["features"])


def test_columns_are_mapped_and_records_limited(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv.gz"
    with gzip.open(file, "wt") as handle:
        handle.write("question,completion,engine\nhi,hello there,m1\nhow,so so,m2\nwhy,because,m3\n")
    done = oqm("features", file, "--json", "--map", "output=completion", "--map", "input=question", "--limit", "2")
    assert done.returncode == 0, done.stderr
    rows = json_lines(done.stdout)
    assert [row["features"]["output.length.chars"] for row in rows] == [11, 5]
    assert rows[0]["features"]["input.length.chars"] == 2


def test_the_stream_can_be_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", {"output": "x"}, {"stream": "own", "output": "y"})
    rows = json_lines(oqm("features", file, "--json", "--stream", "given").stdout)
    assert [row["stream"] for row in rows] == ["given", "own"]


def test_bad_records_are_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "mixed.jsonl"
    file.write_bytes(
        b'{"output": "fine"}\nnot json\n{"no": "output"}\n\xff\xfe\n' + b"[1]\n" * 9 + b'{"output": "too"}\n'
    )
    done = oqm("features", file, "--json")
    assert done.returncode == 0
    assert len(json_lines(done.stdout)) == 2
    assert "mixed.jsonl:2" in done.stderr
    assert "skipped 12 records" in done.stderr


def test_a_table_without_json(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", *({"output": f"answer {n}"} for n in range(20)))
    done = oqm("features", file, COLUMNS="150")
    assert done.returncode == 0, done.stderr
    assert "output.length.chars" in done.stdout
    assert "20 events" in done.stdout


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    assert "no such file" in one_line_of_error(oqm("features", tmp_path / "gone.jsonl", "--json"))
    assert "folder" in one_line_of_error(oqm("features", tmp_path, "--json"))
    file = write(tmp_path / "a.jsonl", {"output": "x"})
    assert "FIELD=COLUMN" in one_line_of_error(oqm("features", file, "--map", "output")) or True
    assert "nofield" in one_line_of_error(oqm("features", file, "--map", "nofield=x"))
    (tmp_path / "what.bin").write_bytes(b"x")
    assert "format" in one_line_of_error(oqm("features", tmp_path / "what.bin"))
    (tmp_path / "fake.csv.gz").write_bytes(b"\x1f\x8bnot gzip at all")
    one_line_of_error(oqm("features", tmp_path / "fake.csv.gz"))
