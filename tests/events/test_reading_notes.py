"""What other tools' exports mean, and that whatever had to be guessed is noted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ConfigError, InvalidEvent
from monitor.events import OutputEvent, Reason
from monitor.events.files.mapping import parse_mapping
from monitor.events.files.notes import FileNotes
from monitor.events.files.reader import read_events

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def read(path: Path, mapping: str = "") -> tuple[list[OutputEvent], list[InvalidEvent], list[str]]:
    notes = FileNotes()
    records = list(read_events(path, parse_mapping(mapping), notes=notes))
    events = [record for record in records if isinstance(record, OutputEvent)]
    return events, [record for record in records if isinstance(record, InvalidEvent)], list(notes)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("timestamp", "2026-01-31 12:00:00 UTC"),
        ("ts", NOON * 1000),
        ("created_at", "2026-01-31T12:00:00.000000000Z"),
        ("createdAt", "2026-01-31T13:00:00+0100"),
        ("Created At", str(int(NOON))),
        ("start_time", int(NOON * 1e6)),
        ("startTimeUnixNano", str(int(NOON) * 10**9)),
        ("@timestamp", "2026-01-31t12:00:00z"),
        ("Time", "31.01.2026 12:00"),
        ("date", "2026-01-31T12"),
        ("timestamp", {"$date": "2026-01-31T12:00:00Z"}),
        ("event_time", {"seconds": int(NOON), "nanos": 0}),
    ],
)
def test_columns_that_hold_a_time(tmp_path: Path, column: str, cell: Any) -> None:
    [event], _, notes = read(jsonl(tmp_path / "a.jsonl", {"output": "x", column: cell}))
    assert event.time == NOON
    assert event.attributes == {}
    assert notes[0] == f"a.jsonl: the time is taken from {column!r} (1 row)"


def test_of_several_times_the_call_comes_before_its_record(tmp_path: Path) -> None:
    row = {"output": "x", "updated_at": "2027-01-01", "created_at": "2026-12-31", "start_time": "2026-01-31T12:00:00Z"}
    [event], _, notes = read(jsonl(tmp_path / "a.jsonl", row))
    assert event.time == NOON
    assert set(event.attributes) == {"updated_at", "created_at"}
    assert notes == ["a.jsonl: the time is taken from 'start_time' (1 row)"]
    [event], _, notes = read(jsonl(tmp_path / "a.jsonl", {**row, "time": NOON + 1}))
    assert (event.time, notes) == (NOON + 1, [])


def test_a_time_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    rows = [{"output": "x", "timestamp": f"{k}/2/2026"} for k in range(1, 4)]
    events, _, notes = read(jsonl(tmp_path / "a.jsonl", *rows))
    assert [event.time for event in events] == [None] * 3
    assert notes == [
        "a.jsonl: 'timestamp' cannot be read as a time, and is an attribute (3 rows, such as '1/2/2026' may be "
        "day/month or month/day; send 2026-01-31T12:00:00Z or seconds since 1970)"
    ]
    events, refused, _ = read(jsonl(tmp_path / "b.jsonl", *({"output": "x", "time": f"{k}/2/2026"} for k in (1, 2))))
    assert (events, [one.reason for one in refused]) == ([], [Reason.BAD_TIME] * 2)
    [event], _, notes = read(jsonl(tmp_path / "c.jsonl", {"output": "x", "created": 0}))
    assert (event.time, event.attributes) == (None, {"created": 0})
    assert "before 1990" in notes[0]


@pytest.mark.parametrize(
    ("cells", "read_as"),
    [
        (["1/2/2026 12:00", "1/31/2026 12:00"], "month/day"),
        (["2/1/2026 12:00", "31/1/2026 12:00"], "day/month"),
        (["02-01-26 12:00 PM", "31-01-26 12:00 PM"], "day/month"),
    ],
)
def test_dates_of_two_readings_are_read_as_their_column_says(tmp_path: Path, cells: list[str], read_as: str) -> None:
    rows = ({"output": "x", "time": cell} for cell in cells)
    events, refused, notes = read(jsonl(tmp_path / "a.jsonl", *rows))
    assert [event.time for event in events] == [NOON - 29 * 86_400, NOON], "2 January, and the 31st"
    assert (refused, notes) == ([], [f"a.jsonl: the dates in 'time' are read as {read_as}/year"])


def test_a_missing_time_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("output,time,ts\nx,,\ny,NaT,null\nz,N/A,\n")
    events, refused, notes = read(path)
    assert ([event.time for event in events], refused, notes) == ([None] * 3, [], [])


def test_a_day_and_a_time_of_day_in_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("output,date,time\nx,2026-01-31,12:00:00\n")
    assert read(path)[0][0].time == NOON


@pytest.mark.parametrize(
    ("cells", "seconds", "note"),
    [
        ([1377], 1.377, "'latency' is taken as milliseconds (its median is 1,377)"),
        ([0.4, 1.5, 12.0], 0.4, "'latency' is taken as seconds (its median is 1.5)"),
        ([80, 120, 160], None, "'latency' is not used: it may be seconds or milliseconds"),
        (["1377ms", "1.5 s"], 1.377, None),
        (["1.5"], 1.5, "taken as seconds"),
    ],
)
def test_the_unit_of_a_latency_is_recognised_or_asked_for(
    tmp_path: Path, cells: list[Any], seconds: float | None, note: str | None
) -> None:
    events, _, notes = read(jsonl(tmp_path / "a.jsonl", *({"output": "x", "latency": cell} for cell in cells)))
    assert events[0].latency.total_s == seconds
    assert [note in one for one in notes] == [True] if note else notes == []
    if seconds is None:
        assert events[0].attributes == {"latency": cells[0]}


def test_a_latency_may_be_mapped_in_its_unit(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", *({"output": "x", "took": 150 + k} for k in range(3)))
    assert read(path, "latency.total_ms=took")[0][0].latency.total_s == 0.15
    assert read(path, "latency.total_s=took")[0][0].latency.total_s == 150
    path = jsonl(tmp_path / "b.jsonl", {"output": "x", "latency_s": 2000})
    assert "where it is in milliseconds, give --map latency.total_ms=latency_s" in read(path)[2][0]


def test_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("output;latency_s;cost_usd;tokens_out\nx;1,25;0,002;1.234\ny;1.000,5;0,1;12\n")
    first, second = read(path)[0]
    assert (first.latency.total_s, first.cost_usd, second.latency.total_s) == (1.25, 0.002, 1000.5)
    assert (first.usage.output_tokens, second.usage.output_tokens) == (None, 12)
    assert first.attributes == {"tokens_out": "1.234"}, "a thousand, or one and a bit: not guessed"
    path.write_text('output,latency_s,tokens_out\nx,"1,234","1,234"\n')
    [event], _, notes = read(path)
    assert (event.latency.total_s, event.usage.output_tokens) == (None, 1234)
    assert "a.csv: 'latency_s' is not used where its comma may mark decimals or thousands: write a decimal point " \
        "(1 row, such as '1,234')" in notes  # fmt: skip
    path.write_text('output,cost_usd\nx,"1,234"\n')
    assert [one.reason for one in read(path)[1]] == [Reason.WRONG_TYPE]


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hot?"}]
ANSWER = {"role": "assistant", "content": "Cold."}


@pytest.mark.parametrize("text", [True, False])
def test_chat_messages_as_input_and_output(tmp_path: Path, text: bool) -> None:
    def given(value: Any) -> Any:
        return json.dumps(value) if text else value

    row = {"input": given(MESSAGES), "output": given(ANSWER)}
    [event], _, notes = read(jsonl(tmp_path / "a.jsonl", row))
    assert (event.input, event.output) == ("hot?", "Cold.")
    assert notes == [f"a.jsonl: the {side} is read from chat messages (1 row)" for side in ("input", "output")]
    response = {
        "choices": [{"message": {**ANSWER, "content": None, "tool_calls": [{"id": "c"}]}, "finish_reason": "x"}]
    }
    [event], _, _ = read(jsonl(tmp_path / "a.jsonl", {"response": given(response), "prompt": given(MESSAGES)}),
                         "output=response")  # fmt: skip
    assert (event.input, event.output, event.finish_reason, len(event.steps)) == ("hot?", "", "x", 1)


def test_a_conversation_ends_with_its_answer(tmp_path: Path) -> None:
    talk = [*MESSAGES, {"role": "assistant", "content": "Icy."}, {"role": "user", "content": "Now?"}, ANSWER]
    path = jsonl(tmp_path / "a.jsonl", {"messages": talk})
    [event], _, _ = read(path, "output=messages")
    assert event.output == "Cold."
    [event], _, _ = read(path, "output=messages.-1.content,input=messages.3.content")
    assert (event.input, event.output) == ("Now?", "Cold.")
    [refused] = read(jsonl(tmp_path / "a.jsonl", {"messages": talk[:-1]}), "output=messages")[1]
    assert "no answer" in refused.detail


def test_data_in_json_stays_a_text_and_an_object_is_refused_with_the_way_in(tmp_path: Path) -> None:
    for text in ('{"status": "shipped"}', '[{"a": 1}]', "{broken"):
        assert read(jsonl(tmp_path / "a.jsonl", {"output": text}))[0][0].output == text
    [refused] = read(jsonl(tmp_path / "a.jsonl", {"output": {"intent": "x"}}))[1]
    assert refused.detail.endswith("map the text in it, such as output=output.intent")
    [event], _, _ = read(jsonl(tmp_path / "a.jsonl", {"output": {"intent": "x"}}), "output=output.intent")
    assert event.output == "x"


def test_paths_into_dotted_names_and_json_texts(tmp_path: Path) -> None:
    row = {
        "attributes": {"output.value": "Cold.", "input.value": "hot?"},
        "response": json.dumps({"choices": [{"message": {"content": "Icy."}}]}),
    }
    path = jsonl(tmp_path / "a.jsonl", row)
    for mapping, output in (
        ("output=attributes.output.value,input=attributes.input.value", "Cold."),
        ('output=attributes."output.value",input=attributes."input.value"', "Cold."),
        ("output=response.choices.0.message.content,input=attributes.input.value", "Icy."),
    ):
        [event], _, _ = read(path, mapping)
        assert (event.output, event.input) == (output, "hot?")
    path = tmp_path / "a.csv"
    path.write_text('response,"a, b"\n"{""choices"": [{""text"": ""Cold.""}]}",hot?\n')
    assert read(path, "output=response.choices.0.text")[0][0].output == "Cold."
    assert read(path, 'output="a, b"')[0][0].output == "hot?"
    with pytest.raises(ConfigError, match=r"no column 'answer.text'; its columns are response, a, b"):
        read(path, "output=answer.text")


def test_a_mapped_column_that_no_row_has_is_said(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"output": "x", "prompt": "y"})
    assert read(path, "input=promt")[2] == ["a.jsonl: no row has 'promt', which is mapped to input"]


def test_not_a_number_is_missing(tmp_path: Path) -> None:
    lines = (
        '{"output": "NaN \\"NaN\\" x", "cost_usd": NaN, "latency_s": Infinity}',
        '{"output": "x", "score": -Infinity, "nested": {"deep": [NaN, 1]}}',
        '{"output": "ok NaN"}',
    )
    events, refused, notes = read(jsonl(tmp_path / "a.jsonl", *lines))
    assert refused == []
    assert (events[0].output, events[0].cost_usd, events[0].latency.total_s) == ('NaN "NaN" x', None, None)
    assert events[1].extra == {"nested": {"deep": [None, 1]}}
    assert notes == ["a.jsonl: NaN and Infinity are read as missing (2 rows)"]


def test_a_date_beyond_9999_costs_its_row_and_no_other(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    year_10000 = 253_402_300_800
    times = pyarrow.array([int(NOON), year_10000, None, -(10**12)], pyarrow.timestamp("s"))
    days = pyarrow.array([1, 2, 3, 4], pyarrow.date32())
    parquet.write_table(pyarrow.table({"output": ["a", "b", "c", "d"], "time": times, "born": days}), path)
    events, refused, _ = read(path)
    assert [(event.output, event.time) for event in events] == [("a", NOON), ("c", None)]
    assert [(one.reason, one.detail[:30]) for one in refused] == [
        (Reason.BAD_TIME, "a.parquet:2: time: holds a dat"),
        (Reason.BAD_TIME, "a.parquet:4: time: holds a dat"),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_other_encodings_are_refused_with_the_command(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    content = "output,model\nHällo there,m\n" if name == "a.csv" else '{"output": "Hällo"}\n'
    path.write_bytes(content.encode(encoding))
    with pytest.raises(ConfigError, match=r"is UTF-(16|32).*iconv -f UTF-"):
        read(path)
    path.write_bytes(content.encode())
    assert len(read(path)[0]) == 1
