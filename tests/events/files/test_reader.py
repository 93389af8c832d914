from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ConfigError, InvalidEvent
from monitor.events import Latency, Model, OutputEvent, Prompt, Reason, Session, Usage
from monitor.events.files.file_format import stem
from monitor.events.files.mapping import parse_mapping
from monitor.events.files.reader import read_events
from tests.events.malformed import messages
from tests.shared_data import shared


def write_jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def events(path: Path, mapping: dict[str, str] | None = None, stream: str | None = None) -> list[OutputEvent]:
    found = []
    for item in read_events(path, mapping, stream):
        assert isinstance(item, OutputEvent), item
        found.append(item)
    return found


def mixed(path: Path, mapping: dict[str, str] | None = None) -> list[str]:
    return [
        f"{item.reason} {item.detail}" if isinstance(item, InvalidEvent) else str(item.id)
        for item in read_events(path, mapping)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alpacaeval.jsonl.gz", "alpacaeval"),
        ("a.b.csv", "a.b"),
        ("x/y/log.2025.parquet", "log.2025"),
        ("UPPER.JSONL.GZ", "UPPER"),
        (".jsonl", ".jsonl"),
        ("plain", "plain"),
    ],
)
def test_stem(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_a_file_of_native_events_is_read_as_it_is(tmp_path: Path) -> None:
    full = {
        "id": "e1",
        "time": "2025-10-09T08:53:20Z",
        "stream": "bot",
        "model": {"name": "m"},
        "prompt": {"version": "3"},
        "output": "hi",
        "calls": [{"dependency": "search"}],
        "attributes": {"tenant": "a"},
        "novel": {"kept": 1},
    }
    [event] = events(write_jsonl(tmp_path / "log.jsonl", full))
    assert event.time == 1_760_000_000.0
    assert (event.stream, event.model.name, event.prompt.version) == ("bot", "m", "3")
    assert event.calls[0].dependency == "search"
    assert event.attributes == {"tenant": "a"}
    assert event.extra == {"novel": {"kept": 1}}


def test_somebody_elses_file(tmp_path: Path) -> None:
    row = {
        "id": 17,
        "model": "gpt-4-0613",
        "prompt": "Is 7 prime?",
        "output": "Yes",
        "latency_s": 1.5,
        "cost_usd": 0.01,
        "tokens_in": 12,
        "output_tokens": 3,
        "session_id": "s",
        "task": "prime",
        "score": 0.5,
        "flag": True,
        "nothing": None,
    }
    [event] = events(write_jsonl(tmp_path / "log.jsonl", row))
    assert event == OutputEvent(
        id="17",
        stream="log",
        model=Model(name="gpt-4-0613"),
        input="Is 7 prime?",
        output="Yes",
        latency=Latency(total_s=1.5),
        cost_usd=0.01,
        usage=Usage(input_tokens=12, output_tokens=3),
        session=Session(id="s"),
        attributes={"task": "prime", "score": 0.5, "flag": True},
    )


def test_a_prompt_beside_an_input_is_the_template(tmp_path: Path) -> None:
    [event] = events(write_jsonl(tmp_path / "a.jsonl", {"input": "Why?", "prompt": "Answer: {q}", "output": "So."}))
    assert (event.input, event.prompt) == ("Why?", Prompt(text="Answer: {q}"))


def test_id_is_file_and_line_and_time_stays_missing(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"output": "x"}, "", {"output": "y"})
    assert [(event.id, event.time) for event in events(path)] == [("a.jsonl:1", None), ("a.jsonl:3", None)]


def test_own_streams_win_over_the_option(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", {"output": "x"}, {"output": "y", "stream": "own"})
    assert [event.stream for event in events(path, stream="given")] == ["given", "own"]


def test_columns_are_mapped(tmp_path: Path) -> None:
    row = {"completion": "hi", "service": "bot", "engine": "m", "team": "a", "choices": [{"text": "deep"}], "output": 5}
    path = write_jsonl(tmp_path / "a.jsonl", row)
    mapping = parse_mapping("output=completion, stream=service,model.name=engine,attributes.tenant=team")
    [event] = events(path, mapping)
    assert (event.output, event.stream, event.model.name) == ("hi", "bot", "m")
    assert event.attributes == {"tenant": "a"}
    [event] = events(path, {"output": "choices.0.text"})
    assert event.output == "deep"


@pytest.mark.parametrize("text", ["output", "output=", "=x", "outptu=x", "output.x=y", "name=engine"])
def test_a_mapping_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ConfigError, match="mapping"):
        parse_mapping(text)


def test_bad_lines_are_said_and_passed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"output": "one", "id": "1"}\n{"output": \n\xff\n[1]\n{"output": 5}\n{"id": "x"}\n'
        b'{"output": "\\ud800", "id": "7"}\n{"output": "x", "cost_usd": NaN}\n{"output": "last", "id": "9"}'
    )
    assert mixed(path) == [
        "1",
        "not_json a.jsonl:2: Input data was truncated; send one JSON object in UTF-8",
        "not_utf8 a.jsonl:3: byte 0 is not UTF-8 (invalid start byte); encode JSON as UTF-8",
        "not_object a.jsonl:4: the value is a JSON array; it must be one JSON object; publish one event a message",
        "wrong_type a.jsonl:5: output: expected str | null, got int",
        "missing_output a.jsonl:6: no `output`; map a column to it, such as output=completion (columns: id)",
        "7",
        "a.jsonl:8",
        "9",
    ]


def test_every_line_that_is_not_blank_is_accounted_for(tmp_path: Path) -> None:
    values = [value for value, _ in messages(5_000, seed=7) if value is not None and b"\n" not in value]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"output": "first"}\n' + b"\n".join(values))
    items = list(read_events(path))
    assert len(items) == 1 + sum(bool(value.strip()) for value in values)
    refused = [item for item in items if isinstance(item, InvalidEvent)]
    assert 0 < len(refused) < len(items)
    assert all(item.detail.startswith("a.jsonl:") and item.reason in Reason.__members__.values() for item in refused)


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.events.files.jsonl.MAX_BYTES", 1000)
    path = write_jsonl(tmp_path / "a.jsonl", {"output": "x" * 5000}, {"output": "y", "id": "2"})
    assert mixed(path) == ["too_large a.jsonl:1: the line has more than 1,000 bytes", "2"]


def test_one_json_array_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n{"output": "x"}\n]')
    [line] = mixed(path)
    assert line.startswith("not_object a.json:1: the file is one JSON array")


def _zstd(content: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(content))


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", _zstd)]
)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_compressed(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], kind: str) -> None:
    content = b'{"output": "hi"}\n' * 3 if kind == "jsonl" else b"output\n" + b"hi\n" * 3
    path = tmp_path / f"log.{kind}.{suffix}"
    path.write_bytes(compress(content))
    assert [(event.stream, event.output) for event in events(path)] == [("log", "hi")] * 3
    path.rename(tmp_path / f"log.{kind}")  # the content says it, not the name
    assert len(events(tmp_path / f"log.{kind}")) == 3


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_a_damaged_file_gives_what_can_be_read(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    rows = "".join(json.dumps({"output": str(n * 7919 % 104729), "id": str(n)}) + "\n" for n in range(60_000))
    path = tmp_path / f"log.jsonl.{suffix}"
    path.write_bytes(compress(rows.encode())[:-2000])
    *good, last = mixed(path)
    assert last.startswith(f"unreadable log.jsonl.{suffix}:{len(good) + 1}: the file is damaged from here on")
    assert good == [str(n) for n in range(len(good))]


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["time", "model", "prompt", "output", "latency_ms", "tokens_out", "tenant", "usage.input_tokens", "calls"]
        )
        calls = '[{"dependency": "search", "status": 200}]'
        writer.writerow(["2025-10-09T08:53:20Z", "m", "Why?", "two\nlines, é", "1500", "12", "a", "7", calls])
        writer.writerow(["1760000000.5", "", "", "", "", "n/a", "", "", ""])
    first, second = events(path)
    assert first == OutputEvent(
        id="log.csv:2",
        stream="log",
        time=1_760_000_000.0,
        model=Model(name="m"),
        input="Why?",
        output="two\nlines, é",
        latency=Latency(total_s=1.5),
        usage=Usage(input_tokens=7, output_tokens=12),
        calls=first.calls,
        attributes={"tenant": "a"},
    )
    assert first.calls[0].status == 200
    # The record before it spans two lines. An empty cell is a missing value, but an empty output is an output.
    assert second == OutputEvent(
        id="log.csv:4", stream="log", time=1_760_000_000.5, output="", attributes={"tokens_out": "n/a"}
    )


def test_csv_rows_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"id,output\n1,a\n2\n3,b,c\n4,\xff\n\n6,long " + b"x" * 200_000 + b"\n")
    assert mixed(path) == [
        "1",
        "bad_row log.csv:3: 1 fields where the header has 2; quote fields with separators",
        "bad_row log.csv:4: 3 fields where the header has 2; quote fields with separators",
        "not_utf8 log.csv:5: the row is not UTF-8; encode the file as UTF-8",
        "6",
    ]


@pytest.mark.parametrize(("name", "sign"), [("a.csv", ";"), ("a.tsv", "\t")])
def test_other_separators(tmp_path: Path, name: str, sign: str) -> None:
    path = tmp_path / name
    path.write_text(f"id{sign}output\n1{sign}a, b\n")
    assert [(event.id, event.output) for event in events(path)] == [("1", "a, b")]


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "log.parquet"
    rows = [
        {
            "time": datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC),
            "output": f"o{n}",
            "model": {"name": "m", "version": None},
            "latency_s": float("nan") if n else 1.5,
            "tokens_in": 5,
            "tenant": "a",
        }
        for n in range(1200)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=500)
    found = events(path)
    assert len(found) == 1200
    assert found[0] == OutputEvent(
        id="log.parquet:1",
        stream="log",
        time=1_760_000_000.0,
        output="o0",
        model=Model(name="m"),
        latency=Latency(total_s=1.5),
        usage=Usage(input_tokens=5),
        attributes={"tenant": "a"},
    )
    assert found[-1].id == "log.parquet:1200"
    assert found[-1].latency.total_s is None
    with pytest.raises(ConfigError, match="has no column 'text'; its columns are time, output, model"):
        read_events(path, {"output": "text"})


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'output-quality-monitor\[parquet\]'"):
        read_events(tmp_path / "log.parquet")


def test_zstandard_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "log.jsonl.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfdxxxx")
    with pytest.raises(ConfigError, match="pip install zstandard"):
        read_events(path)


def test_files_that_cannot_be_used_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_events(tmp_path / "missing.jsonl")
    with pytest.raises(ConfigError, match="cannot tell its format"):
        read_events(tmp_path / "log.txt")
    (tmp_path / "a.csv").write_text("id,output\n1,2\n")
    with pytest.raises(ConfigError, match="no column 'completion'; its columns are id, output"):
        read_events(tmp_path / "a.csv", {"output": "completion"})
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(ConfigError, match="is no Parquet file"):
        read_events(tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("id,output\n1,2\n", "utf-16")
    with pytest.raises(ConfigError, match="is UTF-16"):
        read_events(tmp_path / "c.csv")
    (tmp_path / "d.jsonl.gz").write_bytes(b"\x1f\x8b\x08 and no more")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_events(tmp_path / "d.jsonl.gz")
    with pytest.raises(ConfigError):
        read_events(tmp_path, None)


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.csv"):
        (tmp_path / name).touch()
        assert events(tmp_path / name) == []


def test_cloudevents_and_gen_ai_names_in_files(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "a.jsonl",
        {"specversion": "1.0", "id": "ce", "type": "t", "source": "s", "data": {"output": "x", "task": "q"}},
        {"id": "ot", "gen_ai.completion": "y", "gen_ai.request.model": "m", "gen_ai.request.temperature": 0.5},
    )
    first, second = events(path)
    assert (first.id, first.output, first.attributes) == ("ce", "x", {"task": "q"})
    assert (second.output, second.model.name) == ("y", "m")
    assert second.attributes == {"gen_ai.request.temperature": 0.5}


def test_a_column_that_cannot_be_what_its_name_says_is_an_attribute(tmp_path: Path) -> None:
    row = {"output": "x", "latency": "slow", "turn": "first", "ts": "noon", "provider": "acme", "tokens_in": -1}
    [event] = events(write_jsonl(tmp_path / "a.jsonl", row))
    assert event.attributes == {"latency": "slow", "turn": "first", "ts": "noon", "tokens_in": -1}
    assert event.model.provider == "acme"


@pytest.mark.parametrize(
    ("name", "mapping", "records"),
    [
        ("alpacaeval.jsonl.gz", None, 9_660),
        ("llmdrift.jsonl.gz", None, 4_600),
        ("xstest_refusals.jsonl.gz", None, 900),
        ("ifeval_gpt4.jsonl.gz", None, 540),
        ("banking77.jsonl.gz", {"output": "text"}, 13_083),
        ("lexnorm2015_slang.jsonl.gz", {"output": "text", "input": "normalised"}, 4_917),
    ],
)
def test_real_files_are_read_whole(name: str, mapping: dict[str, str] | None, records: int) -> None:
    assert len(events(shared(name), mapping)) == records


def test_what_llmdrift_measured_finds_its_place() -> None:
    event = next(iter(events(shared("llmdrift.jsonl.gz"))))
    assert event.model.name == "gpt-3.5-turbo-0301"
    assert event.latency.total_s is not None
    assert event.usage.output_tokens is not None
    assert event.cost_usd is not None
    assert {"task", "reference"} <= event.attributes.keys()


def test_a_trace_without_text_says_that_the_output_is_missing() -> None:
    first = next(read_events(shared("azure_llm_trace_2023.jsonl.gz")))
    assert isinstance(first, InvalidEvent)
    assert first.reason == Reason.MISSING_OUTPUT
    assert "columns: service, ts, tokens_in, tokens_out" in first.detail
