"""`RowReader`: a row of a file to an event: fields by their names, other names for them, chat messages, the rest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from monitor.errors import InvalidEvent
from monitor.events import cloudevents, opentelemetry
from monitor.events.content import Content, are_messages, read_messages
from monitor.events.event_builder import build_event
from monitor.events.files.cells import (
    is_missing,
)
from monitor.events.files.columns import SAMPLE_ROWS, FileColumns, dig_column
from monitor.events.files.field_names import (
    ALIASES,
    FLOATS,
    INTS,
    TIME_NAMES,
    is_clock,
    is_field,
    seconds_of,
)
from monitor.events.files.notes import shown
from monitor.events.files.rows import Row, Rows
from monitor.events.reasons import Reason
from monitor.events.schema import OutputEvent
from monitor.events.times import EARLIEST, LATEST, moment_of

_ASKING = ("user", "human", "system", "developer")


class RowReader:
    """One file's rows on their way to events.

    Parameters
    ----------
    file
        Its name, for ids and messages.
    stream
        Stream of rows that name none.
    columns
        The mapping, and what is recognised of the file's columns.
    texts
        All cells are texts (CSV), and empty ones are missing.
    """

    def __init__(self, file: str, stream: str, columns: FileColumns, *, texts: bool) -> None:
        self._file = file
        self._stream = stream
        self._columns = columns
        self._texts = texts
        self._found: set[str] = set()

    def events(self, rows: Rows) -> Iterator[OutputEvent | InvalidEvent]:
        """The file's events in its order, and what is none."""
        sample = list(islice(rows, SAMPLE_ROWS))
        self._columns.recognise([row for _, row in sample if not isinstance(row, InvalidEvent)])
        any_row = False
        for line, row in chain(sample, rows):
            columns: list[str] = []
            try:
                if isinstance(row, InvalidEvent):
                    raise row
                any_row = True
                if "specversion" in row:
                    row = cloudevents.unwrap(row, {})
                columns = list(row)
                fields = self._shape(row)
                if fields.get("stream") in (None, ""):
                    fields["stream"] = self._stream
                yield build_event(fields, default_id=f"{self._file}:{line}", timestamp=None)[0]
            except InvalidEvent as invalid:
                detail = self._no_output(columns) if invalid.reason == Reason.MISSING_OUTPUT else invalid.detail
                yield InvalidEvent(invalid.reason, f"{self._file}:{line}: {detail}")
        for target, (column, _) in self._columns.mapping.items():
            if any_row and column not in self._found and target != "output":
                self._columns.note(f"no row has {column!r}, which is mapped to {target}")

    def _no_output(self, columns: list[str]) -> str:
        if "output" in self._columns.mapping:
            return f"no {self._columns.mapping['output'][0]!r} (mapped to output)"
        if "output" in columns:
            return "output is null, and there is no error that would explain it"
        return f"no `output`; map a column to it, such as output=completion (columns: {', '.join(columns)[:200]})"

    # A row

    def _shape(self, row: Row) -> Row:
        """Native names for a row of somebody's file."""
        fields: Row = {}
        texts = self._texts
        for target, (column, steps) in self._columns.mapping.items():
            cell = dig_column(row, column, steps)
            if cell is None:
                continue
            self._found.add(column)
            if target in ("output", "input"):
                self._place_text(fields, target, cell)
                continue
            target, factor = seconds_of(target)
            _place(fields, target, self._columns.read_cell(target, column, cell, factor, texts=texts))
        attributes: Row = {}
        aliases: list[str] = []
        times: list[tuple[int, str]] = []
        for column, cell in row.items():
            if column in self._columns.mapped or cell is None or (texts and cell == "" and column != "output"):
                continue
            rank = None if column == "time" else self._columns.rank(column)
            if column == "attributes" and isinstance(cell, dict):
                given = fields.setdefault("attributes", {})
                if isinstance(given, dict):
                    fields["attributes"] = {**cell, **given}
            elif column in ("output", "input") and fields.get(column) is None:
                self._place_text(fields, column, cell)
            elif is_field(column, cell, texts):
                if column == "time" and is_clock(cell):
                    cell = self._with_date(row, cell)
                _place(fields, column, self._columns.read_cell(column, column, cell, 1.0, texts=texts))
            elif rank is not None:
                times.append((rank, column))
            elif column in ALIASES or column == "prompt":
                aliases.append(column)
            elif isinstance(cell, (str, int, float)):
                attributes[column] = cell
            else:
                fields[column] = cell  # structured and unknown: the reader keeps it in `extra`
        # After the fields themselves, which win over other names for them.
        for column in aliases:
            if not self._place_alias(fields, column, row[column]):
                attributes[column] = row[column]
        for _, column in sorted(times):
            if not self._place_time(fields, column, row[column]):
                attributes[column] = row[column]
        if opentelemetry.present(attributes):
            for column in [column for column in attributes if opentelemetry.is_name(column)]:
                fields[column] = attributes.pop(column)
        if attributes:
            given = fields.setdefault("attributes", {})
            if isinstance(given, dict):
                fields["attributes"] = {**attributes, **given}
        return fields

    def _with_date(self, row: Row, clock: str) -> str:
        """A time of day with the day that another column has; the time of day alone where none has."""
        for column, cell in row.items():
            if column != "time" and self._columns.rank(column) == TIME_NAMES["date"] and isinstance(cell, str):
                return f"{cell.strip()} {clock.strip()}"
        return clock

    def _place_time(self, fields: Row, column: str, cell: Any) -> bool:
        """Take a column that is named as a time as the time, where it is one and there is none yet."""
        if is_missing(cell):
            return True
        if fields.get("time") is not None:
            return False
        try:
            moment = moment_of(cell, day_first=self._columns.day_first(column))
        except InvalidEvent as invalid:
            why = invalid.detail.removeprefix("time: ")
            example = why if shown(cell) in why else f"{shown(cell)}: {why}"
            self._columns.note(f"{column!r} cannot be read as a time, and is an attribute", 1, example)
            return False
        if not EARLIEST <= moment.seconds < LATEST:
            self._columns.note(
                f"{column!r} is not taken as the time where it lies before 1990 or after 2099", 1, shown(cell)
            )
            return False
        fields["time"] = moment.seconds
        self._columns.note(f"the time is taken from {column!r}", 1)
        self._columns.note_unit(column, moment.unit)
        return True

    def _place_text(self, fields: Row, target: str, cell: Any) -> None:
        """An output or input: a text as it is, and where it is surely chat messages, their text and tool calls."""
        messages = _messages_in(cell)
        if messages is None:
            if isinstance(cell, (dict, list)):
                raise _structured(target, cell)
            _place(fields, target, cell)
            return
        if isinstance(messages, list):
            asked = [k for k, one in enumerate(messages) if isinstance(one, dict) and one.get("role") in _ASKING]
            if asked:  # a conversation: its last question, and what came after it
                messages = messages[asked[-1]] if target == "input" else messages[asked[-1] + 1 :]
                if not messages:
                    raise InvalidEvent(
                        Reason.WRONG_TYPE, "output: the messages end with a question: there is no answer"
                    )
        content = read_messages(messages)
        self._columns.note(f"the {target} is read from chat messages", 1)
        if target == "input":
            if content.texts:
                _place(fields, "input", content.text)
            return
        _place_content(fields, content)

    def _place_alias(self, fields: Row, column: str, cell: Any) -> bool:
        if column == "prompt":
            # A template's text where the input is known, else the input itself.
            if not isinstance(cell, str) and not are_messages(cell):
                return False
            if isinstance(cell, str) and _messages_in(cell) is None:
                return _place(fields, "input", cell) or _place(fields, "prompt.text", cell)
            if fields.get("input") is not None:
                return False
            self._place_text(fields, "input", cell)
            return True
        target, factor = ALIASES[column]
        if target in FLOATS or target in INTS:
            number = self._columns.number(target, column, cell, factor)
            return number is not None and _place(fields, target, number)
        if not isinstance(cell, (str, int)):
            return False
        return _place(fields, target, str(cell))


def _messages_in(cell: Any) -> Any:
    """The chat messages that a cell surely is, as JSON or as its text; None for everything else."""
    if isinstance(cell, str):
        if cell.lstrip()[:1] not in ("{", "["):
            return None
        try:
            cell = msgspec.json.decode(cell)
        except (ValueError, RecursionError):
            return None
    return cell if are_messages(cell) else None


def _structured(target: str, cell: dict[str, Any] | list[Any]) -> InvalidEvent:
    """Why an output or input that is an object or array is refused, and how the text in it is found."""
    kind, step = ("object", next(iter(cell), "text")) if isinstance(cell, dict) else ("array", 0)
    return InvalidEvent(
        Reason.WRONG_TYPE,
        f"{target}: a JSON {kind}, where a text is needed; map the text in it, such as {target}={target}.{step}",
    )


def _place_content(fields: Row, content: Content) -> None:
    if content.unread and not content.texts and not content.steps:
        raise InvalidEvent(
            Reason.WRONG_TYPE,
            f"output: no text in a part of type {content.unread[0]!r}, which is not known; map the text itself",
        )
    _place(fields, "output", content.text)
    if content.finish_reason is not None:
        _place(fields, "finish_reason", content.finish_reason)
    if content.steps:
        _place(fields, "steps", content.steps)


def _place(fields: Row, target: str, cell: Any) -> bool:
    """Put a value at a dotted place unless something is there; whether it went in."""
    *parts, last = target.split(".", 1)
    for part in parts:
        inner = fields.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        fields = inner
    if fields.get(last) is not None:
        return False
    fields[last] = cell
    return True
