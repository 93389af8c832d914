"""What the cells of one column have in common: decimal commas, units, the order of day and month.

Recognised from a file's first rows, and noted for its owner; then single cells are read by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from monitor.errors import InvalidEvent
from monitor.events.files.cells import (
    SUSPICIOUS_SECONDS,
    Commas,
    commas_of,
    dig,
    duration_of,
    is_missing,
    number_of,
    steps_of,
    unit_of,
)
from monitor.events.files.field_names import ALIASES, FLOATS, INTS, STRUCTURED, TIME_NAMES, seconds_of
from monitor.events.files.notes import FileNotes, shown
from monitor.events.files.rows import Row
from monitor.events.json_object import parse_json
from monitor.events.times import day_first_in, moment_of

SAMPLE_ROWS = 1000
"""Rows from which a column's unit and commas are recognised: enough for a median that holds."""
_MEANINGS = {"decimal": "decimal commas", "thousands": "separators of thousands"}


class FileColumns:
    """The columns of one file.

    Parameters
    ----------
    file
        Its name, for notes.
    mapping
        {field: column}, as for `read_events`.
    semicolons
        The file's columns are separated by semicolons.
    notes
        Takes what was understood.

    Attributes
    ----------
    mapping
        {field: (column, the steps of its path)}.
    mapped
        Columns that are mapped.
    """

    def __init__(self, file: str, mapping: Mapping[str, str], semicolons: bool, notes: FileNotes) -> None:
        self.mapping = {target: (column, steps_of(column)) for target, column in mapping.items()}
        self.mapped = set(mapping.values())
        self._file = file
        self._semicolons = semicolons
        self._notes = notes
        self._commas: dict[str, Commas] = {}
        self._units: dict[str, float | None] = {}
        self._names: dict[str, int | None] = {}
        self._days_first: dict[str, bool | None] = {}

    def note(self, sentence: str, rows: int = 0, example: str = "") -> None:
        """As `FileNotes.add`, of this file."""
        self._notes.add(self._file, sentence, rows, example)

    def note_unit(self, column: str, unit: str | None) -> None:
        """Note the unit that times of this column were recognised to have; None: seconds."""
        if unit is not None:
            self.note(f"{column!r} is in {unit} since 1970", 1)

    def day_first(self, column: str) -> bool | None:
        """Whether dates of this column have the day before the month; None where that was not recognised."""
        return self._days_first.get(column)

    def recognise(self, sample: list[Row]) -> None:
        """Which commas and units the columns of numbers have, from the first rows."""
        cells: dict[str, list[Any]] = {}
        targets: dict[str, str] = {}
        times: dict[str, list[Any]] = {}
        for row in sample:
            for column, cell in row.items():
                target, _ = ALIASES.get(column, (column, 1.0))
                if target in FLOATS or target in INTS:
                    targets[column] = target
                    cells.setdefault(column, []).append(cell)
                elif column == "time" or self.rank(column) is not None:
                    times.setdefault(column, []).append(cell)
            for target, (column, steps) in self.mapping.items():
                if seconds_of(target)[0] in FLOATS or target in INTS:
                    targets[column] = target
                    cells.setdefault(column, []).append(dig_column(row, column, steps))
                elif target == "time":
                    times.setdefault(column, []).append(dig_column(row, column, steps))
        for column, some in times.items():
            first = self._days_first[column] = day_first_in(some)
            if first is not None:
                self.note(f"the dates in {column!r} are read as {'day/month' if first else 'month/day'}/year")
        for column, some in cells.items():
            whole = targets[column] in INTS
            self._commas[column] = commas_of(some, whole=whole, semicolons=self._semicolons)
            meaning = _MEANINGS.get(self._commas[column])
            if meaning is not None and any(isinstance(cell, str) and "," in cell for cell in some):
                self.note(f"commas in {column!r} are read as {meaning}")
            if targets[column].startswith("latency."):
                self._recognise_unit(column, targets[column], some)

    def _recognise_unit(self, column: str, target: str, cells: list[Any]) -> None:
        read = [duration_of(cell, self._commas[column]) for cell in cells]
        durations = [found[0] for found in read if found is not None and found[1] is None and found[0] >= 0]
        if not durations:
            return
        seconds = seconds_of(target)[1] if column in self.mapped else ALIASES.get(column, ("", 1.0))[1]
        unit = unit_of(durations)
        middle = sorted(durations)[len(durations) // 2]
        if seconds == 1.0 and middle > SUSPICIOUS_SECONDS:
            self.note(
                f"{column!r} is taken as seconds, though half of its values are above {middle:,.6g}; "
                f"where it is in milliseconds, give --map {target.removesuffix('_s')}_ms={column}"
            )
        if seconds != 0.0:
            return
        if unit is None:
            self._units[column] = None
            self.note(
                f"{column!r} is not used: it may be seconds or milliseconds (its median is {middle:,.6g}); "
                f"give --map latency.total_s={column} or --map latency.total_ms={column}"
            )
            return
        self._units[column] = unit[1]
        self.note(f"{column!r} is taken as {unit[0]} (its median is {middle:,.6g})")

    def rank(self, column: str) -> int | None:
        """Whether a column's name is one of a time, and how good a one."""
        if column not in self._names:
            spread = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
            name = re.sub(r"[^a-z0-9]+", "_", spread.lower()).strip("_")
            self._names[column] = TIME_NAMES.get(name)
        return self._names[column]

    def number(self, target: str, column: str, cell: Any, factor: float) -> float | int | None:
        """A cell of a column of numbers; None, and noted, where it is not surely one."""
        if is_missing(cell) or isinstance(cell, (dict, list)):
            return None
        commas = self._commas.get(column, "decimal" if self._semicolons else "unclear")
        number: float | int | None = None
        if target.startswith("latency."):
            if factor == 0.0:
                unit = self._units.get(column, 1.0)
                if unit is None:
                    return None
                factor = unit
            found = duration_of(cell, commas)
            number = None if found is None else found[0] * (factor if found[1] is None else found[1])
        else:
            number = number_of(cell, commas)
        if target in INTS and number is not None:
            number = int(number) if float(number).is_integer() else None
        if number is None or number < 0:
            why = "it is no number that fits"
            if _is_unclear(cell, commas):
                why = "its comma may mark decimals or thousands: write a decimal point"
            self.note(f"{column!r} is not used where {why}", 1, shown(cell))
            return None
        return number

    def read_cell(self, target: str, column: str, cell: Any, factor: float, *, texts: bool) -> Any:
        """A cell as the type that its field has, as far as its form allows; the reader refuses what does not fit."""
        if target in ("id", "session.id") and isinstance(cell, int) and not isinstance(cell, bool):
            return str(cell)
        if target == "time":
            if is_missing(cell):
                return None
            moment = moment_of(cell, day_first=self.day_first(column))
            self.note_unit(column, moment.unit)
            return moment.seconds
        if target in FLOATS or target in INTS:
            if is_missing(cell):
                return None
            if factor == 1.0 and not isinstance(cell, str):
                return cell
            number = self.number(target, column, cell, factor)
            return cell if number is None else number
        if texts and target in STRUCTURED and cell.lstrip()[:1] in ("{", "["):
            try:
                return parse_json(f'{{"cell":{cell}}}'.encode())[0]["cell"]
            except InvalidEvent:
                return cell
        return cell


def dig_column(row: Row, column: str, steps: list[str]) -> Any:
    """A column by its name, or by its path into nested JSON (`choices.0.text`)."""
    return row[column] if column in row else dig(row, steps)


def _is_unclear(cell: Any, commas: Commas) -> bool:
    return commas == "unclear" and isinstance(cell, str) and "," in cell
