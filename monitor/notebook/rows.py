"""Output events from what a notebook holds: a file, a DataFrame, mappings, events, or texts alone."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.notes import FileNotes
from monitor.events.files.reader import read_events
from monitor.events.identity import content_digest
from monitor.events.schema import OutputEvent

if TYPE_CHECKING:
    import pandas

Data: TypeAlias = "str | Path | pandas.DataFrame | Iterable[Mapping[str, Any] | OutputEvent | str]"
"""A file's path, a DataFrame with a row an output, or outputs as mappings, events or texts."""

DEFAULT_STREAM = "notebook"
MAX_REASONS = 3  # reasons for unreadable rows that an error names; the rest is counted


NO_ROWS = ": give at least one row with an `output`"


@dataclass
class Rows:
    """What was read.

    Attributes
    ----------
    events
        In their order, each with an id.
    skipped
        Rows that were no events, by reason.
    notes
        What was understood of the data, one sentence each.
    """

    events: list[OutputEvent]
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def read(data: Data, stream: str | None, columns: Mapping[str, str] | None, what: str = "the data") -> Rows:
    """The events in `data`, which errors call `what`.

    Raises `ConfigError` where it holds none, or is nothing that can be read.
    """
    if isinstance(data, str | Path):
        return _of_file(Path(data), stream, columns, what)
    records = _records(data)
    if records and all(isinstance(one, OutputEvent) for one in records):
        if columns:
            raise ConfigError("columns are for a DataFrame, mappings or a file; these are events already")
        return Rows(_identified(records))
    with tempfile.TemporaryDirectory(prefix="oqm-notebook-") as folder:
        path = Path(folder) / "rows.jsonl"
        lines = (_line(record, number) for number, record in enumerate(records, start=1))
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        rows = _of_file(
            path, stream or DEFAULT_STREAM, columns, what, identified=any(_has_id(one, columns) for one in records)
        )
    rows.notes = [note.replace("rows.jsonl", what) for note in rows.notes]
    return rows


def one_stream(rows: Rows, what: str) -> str:
    """The stream that all rows are of. Raises `ConfigError` where there are several."""
    names = sorted({event.stream for event in rows.events})
    if len(names) > 1:
        shown = ", ".join(names[:MAX_REASONS]) + ("..." if len(names) > MAX_REASONS else "")
        raise ConfigError(f"{what} holds outputs of {len(names)} streams ({shown}): give those of one, or use replay")
    return names[0]


def _records(data: Any) -> list[Any]:
    if hasattr(data, "to_dict") and hasattr(data, "columns"):  # a DataFrame, without importing pandas
        return list(data.to_dict("records"))
    if isinstance(data, Mapping | bytes) or not isinstance(data, Iterable):
        raise ConfigError(
            f"cannot read {type(data).__name__}: give a file's path, a DataFrame, or a list of mappings, "
            "OutputEvents or texts"
        )
    return list(data)


def _line(record: Any, number: int) -> bytes:
    if isinstance(record, str):
        record = {"output": record}
    elif isinstance(record, OutputEvent):
        record = msgspec.to_builtins(record)
    elif not isinstance(record, Mapping):
        kind = type(record).__name__
        raise ConfigError(f"row {number} is a {kind}: each must be a mapping, an OutputEvent or a text")
    return msgspec.json.encode(_plain(dict(record)))


def _plain(value: Any) -> Any:
    """As JSON has it: no NaN, times of pandas and numpy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if hasattr(value, "item") and not isinstance(value, datetime):  # numpy's scalars, and arrays of one value
        value = value.item() if getattr(value, "size", 1) == 1 else value.tolist()
    if value is None or (isinstance(value, float) and not math.isfinite(value)) or str(value) in ("NaT", "<NA>"):
        return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value)


def _has_id(record: Any, columns: Mapping[str, str] | None) -> bool:
    if isinstance(record, OutputEvent):
        return record.id is not None
    return isinstance(record, Mapping) and ("id" in record or "id" in (columns or {}))


def _of_file(
    path: Path, stream: str | None, columns: Mapping[str, str] | None, what: str, *, identified: bool = True
) -> Rows:
    notes = FileNotes()
    rows = Rows([])
    first: InvalidEvent | None = None
    seen: Counter[int] = Counter()
    for record in read_events(path, columns, stream, notes):
        if isinstance(record, InvalidEvent):
            first = first or record
            rows.skipped[record.reason] += 1
        else:
            rows.events.append(record if identified else _with_id(msgspec.structs.replace(record, id=None), seen))
    rows.notes = list(notes)
    if not rows.events:
        why = f": {_without_place(first)}" if first is not None else ""
        raise ConfigError(f"{what} holds no outputs{why or NO_ROWS}")
    return rows


def _without_place(error: InvalidEvent) -> str:
    """What is wrong with a row, with the parameter of the notebook in place of the option of the command line."""
    detail = str(error.detail).replace("rows.jsonl:", "row ")
    return detail.replace("map a column to it, such as output=completion", 'name its column: columns={"output": "..."}')


def _identified(events: Sequence[OutputEvent]) -> list[OutputEvent]:
    seen: Counter[int] = Counter()
    return [event if event.id else _with_id(event, seen) for event in events]


def _with_id(event: OutputEvent, seen: Counter[int]) -> OutputEvent:
    """The event with an id made of its content, so that the same data read again has the same ids."""
    if event.id:
        return event
    digest = int(content_digest(event)) ^ (hash(event.time) if event.time is not None else 0) & (2**64 - 1)
    seen[digest] += 1
    return msgspec.structs.replace(event, id=f"{digest:016x}-{seen[digest]}")
