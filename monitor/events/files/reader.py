"""Replay input: output events from JSONL, CSV and Parquet files, plain or compressed, read as a stream.

A file is not always written for us, so it is read more kindly than a topic: a string `model` is the model's name, a
string `prompt` the input where that is absent, `stream` defaults to the file's stem, names that can only mean one thing
(`latency_s`, `tokens_in`, `created_at`) go to their place, other columns become `attributes`. A column named otherwise
is mapped by option. What cannot be read is yielded as `InvalidEvent`, with file and line, and reading goes on; what had
to be understood (a unit, which column is the time) is noted in `FileNotes`.

May import `monitor.errors` and this package. pandas is not needed; pyarrow (Parquet) and zstandard are optional.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from monitor.errors import ConfigError, InvalidEvent
from monitor.events import cloudevents, opentelemetry
from monitor.events.content import Content, are_messages, read_messages
from monitor.events.files.cells import (
    SUSPICIOUS_SECONDS,
    Commas,
    begins,
    commas_of,
    dig,
    duration_of,
    is_missing,
    number_of,
    steps_of,
    unit_of,
)
from monitor.events.files.csv import DAMAGED, read_csv
from monitor.events.files.notes import FileNotes, shown
from monitor.events.readers import MAX_BYTES, build_event, parse_json, without_non_finite
from monitor.events.reasons import Reason
from monitor.events.schema import OutputEvent
from monitor.events.times import EARLIEST, LATEST, day_first_in, moment_of

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = Iterator[tuple[int, Row | InvalidEvent]]

_COMPRESSIONS = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zst"))
_SUFFIXES = (
    ".gz",
    ".gzip",
    ".bz2",
    ".xz",
    ".zst",
    ".zstd",
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".pq",
)
_FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
    ".pq": "parquet",
}  # fmt: skip
_OTHERS = (
    (b"PAR1", "a Parquet file; name it .parquet"),
    (b"PK\x03\x04", "a ZIP archive (as .xlsx is); unpack it, or save the sheet as CSV in UTF-8"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"Obj\x01", "an Avro file; export it as JSONL or Parquet"),
    (b"ORC", "an ORC file; export it as JSONL or Parquet"),
)
"""How the content of files begins that are neither text nor what is read here."""
_SAMPLE = 1000
"""Rows from which a column's unit and commas are recognised: enough for a median that holds."""

# Names in other people's files that can mean one thing only, and what to multiply them by; 0: the unit is recognised
# from the column's median.
_ALIASES: dict[str, tuple[str, float]] = {
    "latency_s": ("latency.total_s", 1.0),
    "latency_ms": ("latency.total_s", 0.001),
    "latency": ("latency.total_s", 0.0),
    "latency_seconds": ("latency.total_s", 1.0),
    "latency_us": ("latency.total_s", 1e-6),
    "latency_ns": ("latency.total_s", 1e-9),
    "ttft": ("latency.first_token_s", 0.0),
    "first_token_s": ("latency.first_token_s", 1.0),
    "ttft_s": ("latency.first_token_s", 1.0),
    "ttft_ms": ("latency.first_token_s", 0.001),
    "queue_s": ("latency.queue_s", 1.0),
    "queue_ms": ("latency.queue_s", 0.001),
    "queue_time_s": ("latency.queue_s", 1.0),
    "queue_time_ms": ("latency.queue_s", 0.001),
    "input_tokens": ("usage.input_tokens", 1),
    "tokens_in": ("usage.input_tokens", 1),
    "prompt_tokens": ("usage.input_tokens", 1),
    "output_tokens": ("usage.output_tokens", 1),
    "tokens_out": ("usage.output_tokens", 1),
    "completion_tokens": ("usage.output_tokens", 1),
    "reasoning_tokens": ("usage.reasoning_tokens", 1),
    "context_limit": ("usage.context_limit", 1),
    "session_id": ("session.id", 1),
    "conversation_id": ("session.id", 1),
    "turn": ("session.turn", 1),
    "trace_id": ("trace.trace_id", 1),
    "span_id": ("trace.span_id", 1),
    "parent_id": ("trace.parent_id", 1),
    "model": ("model.name", 1),
    "model_name": ("model.name", 1),
    "model_version": ("model.version", 1),
    "model_provider": ("model.provider", 1),
    "provider": ("model.provider", 1),
    "system_fingerprint": ("model.fingerprint", 1),
    "prompt_name": ("prompt.name", 1),
    "prompt_version": ("prompt.version", 1),
    "prompt_hash": ("prompt.hash", 1),
}
_TIME_NAMES = {
    name: rank
    for rank, name in enumerate(
        (
            "time", "timestamp", "ts", "event_time", "event_timestamp", "start_time", "started_at", "start_timestamp",
            "created_at", "created", "creation_time", "created_time", "request_time", "requested_at", "datetime",
            "date_time", "time_utc", "utc_time", "timestamp_utc", "unix_time", "unix_timestamp", "epoch", "epoch_ms",
            "epoch_s", "time_ms", "ts_ms", "timestamp_ms", "timestamp_us", "timestamp_ns", "time_unix_nano",
            "start_time_unix_nano", "observed_time_unix_nano", "occurred_at", "received_at", "logged_at", "log_time",
            "observed_at", "recorded_at", "inserted_at", "ingested_at", "end_time", "ended_at", "finished_at",
            "completed_at", "responded_at", "response_time_utc", "updated_at", "date",
        )
    )
}  # fmt: skip
"""Names of columns that hold a time, in any case (`createdAt`, `Created At`); the first of several wins."""
_CLOCK_ONLY = re.compile(r"\s*\d{1,2}:\d\d(:\d\d([.,]\d+)?)?\s*([zZ]|[+-]\d\d:?\d\d)?\s*")
_TOP = frozenset(OutputEvent.__struct_fields__)
_PARTS = frozenset(("model", "prompt", "usage", "latency", "session", "trace"))
_FLOATS = frozenset(("latency.total_s", "latency.first_token_s", "latency.queue_s", "cost_usd"))
_INTS = frozenset(
    ("usage.input_tokens", "usage.output_tokens", "usage.context_limit", "usage.reasoning_tokens", "session.turn")
)
_STRUCTURED = frozenset(("steps", "calls", "action", "attributes", "extra", *_PARTS))


_ITEM = re.compile(r'(?:"[^"]*"|[^,"])+')


def parse_mapping(text: str) -> dict[str, str]:
    """`output=completion,stream=service` as {field of the event: column of the file}.

    Raises `ConfigError` for what is no such list, or names no field of an event.
    """
    mapping: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in _ITEM.findall(text))):
        target, sign, column = (part.strip() for part in item.partition("="))
        if not sign or not target or not column:
            raise ConfigError(f"mapping {item!r}: write field=column, such as output=completion")
        mapping[target] = column
    _check_mapping(mapping)
    return mapping


def _check_mapping(mapping: Mapping[str, str]) -> None:
    for target in mapping:
        top, _, rest = target.partition(".")
        if top not in _TOP or (rest and top not in _STRUCTURED):
            raise ConfigError(
                f"mapping {target}={mapping[target]}: an event has no field {target!r}; its fields are "
                f"{', '.join(sorted(_TOP))}, and parts are written model.name, attributes.tenant"
            )


def read_events(
    path: str | Path,
    mapping: Mapping[str, str] | None = None,
    stream: str | None = None,
    notes: FileNotes | None = None,
) -> Iterator[OutputEvent | InvalidEvent]:
    """Events of one file, in its order; lines that are none come as `InvalidEvent` whose detail begins `file:line:`.

    Parameters
    ----------
    path
        `.jsonl`, `.ndjson`, `.json` (one object a line), `.csv`, `.tsv` or `.parquet`; all but Parquet may be
        compressed (gzip, bzip2, xz, Zstandard), which is told by the content.
    mapping
        {field: column}; a field is written with dots (`model.name`), a column may be a path into nested JSON
        (`choices.0.message.content`, `attributes."output.value"`), also where that JSON is a text.
    stream
        Stream of rows that name none; the file's stem by default.
    notes
        Takes what was understood of the file, such as which column is the time.

    Raises
    ------
    ConfigError
        At the call, where the file or the mapping cannot be used at all.
    """
    path = Path(path)
    mapping = dict(mapping or {})
    _check_mapping(mapping)
    kind = _kind(path)
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not a file")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no regular file, and is read more than once; write it to a file first")
        notes = FileNotes() if notes is None else notes
        semicolons = False
        if kind == "parquet":
            rows = _read_parquet(path, mapping)
        else:
            _check_text(path)
            if kind == "csv":
                table = read_csv(path, lambda: _open(path))
                try:
                    _check_columns(path, table.columns, mapping)
                except ConfigError:
                    table.close()
                    raise
                rows, semicolons = table.rows, table.separator == ";"
            else:
                rows = _read_jsonl(path, _open(path), notes)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    reading = _Reading(path.name, mapping, stream or stem(path), kind == "csv", semicolons, notes)
    return reading.events(rows)


def _check_columns(path: Path, columns: list[str], mapping: Mapping[str, str]) -> None:
    missing = [column for column in mapping.values() if not begins(columns, column)]
    if missing:
        raise ConfigError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(columns) or 'none'}")


def stem(path: str | Path) -> str:
    """The file's name without the suffixes that say format and compression: `alpacaeval.jsonl.gz` -> `alpacaeval`."""
    name = Path(path).name
    while True:
        shorter, dot, suffix = name.rpartition(".")
        if not shorter or (dot + suffix).lower() not in _SUFFIXES:
            return name
        name = shorter


# --- bytes to rows ----------------------------------------------------------------------------------------------


def _kind(path: Path) -> str:
    for suffix in reversed(path.suffixes):
        if suffix.lower() in _FORMATS:
            return _FORMATS[suffix.lower()]
    raise ConfigError(f"{path}: cannot tell its format; name it .jsonl, .csv or .parquet (and .gz, .bz2, .xz, .zst)")


class _Zstandard(io.RawIOBase):
    """A Zstandard stream whose damage is an `OSError`, as it is for the other compressions."""

    def __init__(self, path: Path) -> None:
        try:
            zstandard = import_module("zstandard")
        except ImportError:
            raise ConfigError(f"{path}: is Zstandard-compressed; pip install zstandard, or unpack it first") from None
        self._error: type[Exception] = zstandard.ZstdError
        self._stream: Any = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._stream.readinto(buffer))
        except self._error as error:
            raise OSError(str(error)) from None

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open(path: Path) -> io.BufferedReader:
    """The file's content, unpacked. Told by the first bytes: a suffix says less than they do."""
    with path.open("rb") as file:
        start = file.read(8)
    compression = next((name for magic, name in _COMPRESSIONS if start.startswith(magic)), None)
    raw: Any
    if compression == "gz":
        raw = gzip.open(path)  # noqa: SIM115
    elif compression == "bz2":
        raw = bz2.open(path)  # noqa: SIM115
    elif compression == "xz":
        raw = lzma.open(path)  # noqa: SIM115
    elif compression == "zst":
        raw = _Zstandard(path)
    else:
        raw = path.open("rb", buffering=0)
    return io.BufferedReader(raw, 1 << 16)


def _check_text(path: Path) -> None:
    """Refuse what is no text in UTF-8, by its first bytes."""
    with _open(path) as file:
        try:
            start = file.peek(512)[:512]
        except DAMAGED as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from None
    for magic, name in _OTHERS:
        if start.startswith(magic):
            raise ConfigError(f"{path}: is {name}")
    encoding = _wide_encoding(start)
    if encoding is not None:
        raise ConfigError(f"{path}: is {encoding}; encode it as UTF-8 (iconv -f {encoding} -t UTF-8)")
    if start.count(0) > len(start) // 10:
        raise ConfigError(f"{path}: is no text (it has zero bytes); give JSONL, CSV or Parquet")


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark or by the zero bytes that ASCII characters have in it."""
    for mark, name in ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32")):
        if start.startswith(mark):
            return name
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    least = max(2, len(start) // 8)  # one character in four, where every second byte is a character's upper half
    zeros = [start[place::4].count(0) for place in range(4)]
    if min(zeros[1:]) >= least // 2 and not zeros[0]:
        return "UTF-32LE"
    if min(zeros[:3]) >= least // 2 and not zeros[3]:
        return "UTF-32BE"
    if start[1::2].count(0) >= least and not start[0::2].count(0):
        return "UTF-16LE"
    if start[0::2].count(0) >= least and not start[1::2].count(0):
        return "UTF-16BE"
    return None


def _read_jsonl(path: Path, file: io.BufferedReader, notes: FileNotes) -> Rows:
    with file:
        line = 0
        while True:
            try:
                text = file.readline(MAX_BYTES + 1)
                if not text:
                    return
                line += 1
                if len(text) > MAX_BYTES:
                    while not text.endswith(b"\n") and (text := file.readline(1 << 20)):
                        pass
                    yield line, InvalidEvent(Reason.TOO_LARGE, f"the line has more than {MAX_BYTES:,} bytes")
                    continue
            except DAMAGED as error:
                yield line + 1, InvalidEvent(Reason.UNREADABLE, f"the file is damaged from here on ({error})")
                return
            if line == 1 and text.lstrip()[:1] == b"[" and ".json" in path.suffixes:
                yield (
                    1,
                    InvalidEvent(
                        Reason.NOT_OBJECT, "the file is one JSON array; write one object a line (jq -c '.[]' does it)"
                    ),
                )
                return
            if not text.strip():
                continue
            try:
                yield line, _parse_line(text, path.name, notes)
            except InvalidEvent as invalid:
                yield line, invalid


def _parse_line(text: bytes, file: str, notes: FileNotes) -> Row:
    try:
        return parse_json(text)[0]
    except InvalidEvent as invalid:
        if invalid.reason != Reason.NON_FINITE:
            raise
    row = parse_json(without_non_finite(text)[0])[0]
    notes.add(file, "NaN and Infinity are read as missing", 1)
    return row


def _read_parquet(path: Path, mapping: Mapping[str, str]) -> Rows:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigError(f"{path}: reading Parquet needs pip install 'output-quality-monitor[parquet]'") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise ConfigError(f"{path}: is no Parquet file ({error})") from None
    columns = file.schema_arrow.names
    _check_columns(path, columns, mapping)

    def rows() -> Rows:
        line = 0
        with file:
            batches = file.iter_batches(batch_size=512)
            while True:
                try:
                    batch = next(batches, None)
                except (pyarrow.ArrowException, OSError, ValueError) as error:
                    yield line + 1, InvalidEvent(Reason.UNREADABLE, f"the file is damaged from here on ({error})")
                    return
                if batch is None:
                    return
                for row in _parquet_rows(batch):
                    line += 1
                    yield line, row

    return rows()


def _parquet_rows(batch: Any) -> Iterator[Row | InvalidEvent]:
    """The rows of a batch; one with a value that Python has no type for is refused alone."""
    try:
        content = batch.to_pylist()
    except (ValueError, OverflowError):
        # One value of the batch is at fault. Row by row, only its row is lost.
        for place in range(len(batch)):
            row: Row = {}
            try:
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    row[name] = _plain(column[place].as_py())
            except (ValueError, OverflowError) as error:
                reason = Reason.BAD_TIME if _has_dates(batch.schema.field(name).type) else Reason.BAD_ROW
                what = "holds a date beyond the years 1 to 9999" if reason == Reason.BAD_TIME else str(error)
                yield InvalidEvent(reason, f"{name}: {what}; correct it, or leave it empty")
            else:
                yield row
        return
    for cells in content:
        yield {name: _plain(cell) for name, cell in cells.items()}


def _has_dates(kind: Any) -> bool:
    return "timestamp" in str(kind) or "date" in str(kind)


def _plain(cell: Any) -> Any:
    """A Parquet cell as JSON would have it: times as seconds, decimals as numbers, not-a-number as missing."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return float(cell) if cell.is_finite() else None
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, dict):
        return {name: _plain(item) for name, item in cell.items() if item is not None}
    if isinstance(cell, list):
        return [_plain(item) for item in cell]
    if isinstance(cell, (str, int, bool)) or cell is None:
        return cell
    return str(cell)


# --- rows to events ---------------------------------------------------------------------------------------------


_ASKING = ("user", "human", "system", "developer")


class _Reading:
    """One file's rows on their way to events, with what is recognised of its columns.

    Parameters
    ----------
    file
        Its name, for ids and messages.
    mapping, stream
        As for `read_events`.
    texts
        All cells are texts (CSV), and empty ones are missing.
    semicolons
        The file's columns are separated by semicolons.
    """

    def __init__(
        self, file: str, mapping: Mapping[str, str], stream: str, texts: bool, semicolons: bool, notes: FileNotes
    ) -> None:
        self._file = file
        self._mapping = {target: (column, steps_of(column)) for target, column in mapping.items()}
        self._used = set(mapping.values())
        self._stream = stream
        self._texts = texts
        self._semicolons = semicolons
        self._notes = notes
        self._commas: dict[str, Commas] = {}
        self._units: dict[str, float | None] = {}
        self._names: dict[str, int | None] = {}
        self._day_first: dict[str, bool | None] = {}
        self._found: set[str] = set()

    def events(self, rows: Rows) -> Iterator[OutputEvent | InvalidEvent]:
        """The file's events in its order, and what is none."""
        sample = list(islice(rows, _SAMPLE))
        self._recognise([row for _, row in sample if not isinstance(row, InvalidEvent)])
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
        for target, (column, _) in self._mapping.items():
            if any_row and column not in self._found and target != "output":
                self._note(f"no row has {column!r}, which is mapped to {target}")

    def _note(self, sentence: str, rows: int = 0, example: str = "") -> None:
        self._notes.add(self._file, sentence, rows, example)

    def _no_output(self, columns: list[str]) -> str:
        if "output" in self._mapping:
            return f"no {self._mapping['output'][0]!r} (mapped to output)"
        if "output" in columns:
            return "output is null, and there is no error that would explain it"
        return f"no `output`; map a column to it, such as output=completion (columns: {', '.join(columns)[:200]})"

    # What a column's cells have in common

    def _recognise(self, sample: list[Row]) -> None:
        """Which commas and units the columns of numbers have, from the first rows."""
        cells: dict[str, list[Any]] = {}
        targets: dict[str, str] = {}
        times: dict[str, list[Any]] = {}
        for row in sample:
            for column, cell in row.items():
                target, _ = _ALIASES.get(column, (column, 1.0))
                if target in _FLOATS or target in _INTS:
                    targets[column] = target
                    cells.setdefault(column, []).append(cell)
                elif column == "time" or self._rank(column) is not None:
                    times.setdefault(column, []).append(cell)
            for target, (column, steps) in self._mapping.items():
                if _seconds_of(target)[0] in _FLOATS or target in _INTS:
                    targets[column] = target
                    cells.setdefault(column, []).append(_dig(row, column, steps))
                elif target == "time":
                    times.setdefault(column, []).append(_dig(row, column, steps))
        for column, some in times.items():
            first = self._day_first[column] = day_first_in(some)
            if first is not None:
                self._note(f"the dates in {column!r} are read as {'day/month' if first else 'month/day'}/year")
        for column, some in cells.items():
            whole = targets[column] in _INTS
            self._commas[column] = commas_of(some, whole=whole, semicolons=self._semicolons)
            meaning = _MEANINGS.get(self._commas[column])
            if meaning is not None and any(isinstance(cell, str) and "," in cell for cell in some):
                self._note(f"commas in {column!r} are read as {meaning}")
            if targets[column].startswith("latency."):
                self._recognise_unit(column, targets[column], some)

    def _recognise_unit(self, column: str, target: str, cells: list[Any]) -> None:
        read = [duration_of(cell, self._commas[column]) for cell in cells]
        durations = [found[0] for found in read if found is not None and found[1] is None and found[0] >= 0]
        if not durations:
            return
        seconds = _seconds_of(target)[1] if column in self._used else _ALIASES.get(column, ("", 1.0))[1]
        unit = unit_of(durations)
        middle = sorted(durations)[len(durations) // 2]
        if seconds == 1.0 and middle > SUSPICIOUS_SECONDS:
            self._note(
                f"{column!r} is taken as seconds, though half of its values are above {middle:,.6g}; "
                f"where it is in milliseconds, give --map {target.removesuffix('_s')}_ms={column}"
            )
        if seconds != 0.0:
            return
        if unit is None:
            self._units[column] = None
            self._note(
                f"{column!r} is not used: it may be seconds or milliseconds (its median is {middle:,.6g}); "
                f"give --map latency.total_s={column} or --map latency.total_ms={column}"
            )
            return
        self._units[column] = unit[1]
        self._note(f"{column!r} is taken as {unit[0]} (its median is {middle:,.6g})")

    def _rank(self, column: str) -> int | None:
        """Whether a column's name is one of a time, and how good a one."""
        if column not in self._names:
            spread = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
            name = re.sub(r"[^a-z0-9]+", "_", spread.lower()).strip("_")
            self._names[column] = _TIME_NAMES.get(name)
        return self._names[column]

    # A row

    def _shape(self, row: Row) -> Row:
        """Native names for a row of somebody's file."""
        fields: Row = {}
        texts = self._texts
        for target, (column, steps) in self._mapping.items():
            cell = _dig(row, column, steps)
            if cell is None:
                continue
            self._found.add(column)
            if target in ("output", "input"):
                self._place_text(fields, target, cell)
                continue
            target, factor = _seconds_of(target)
            _place(fields, target, self._read_cell(target, column, cell, factor))
        attributes: Row = {}
        aliases: list[str] = []
        times: list[tuple[int, str]] = []
        for column, cell in row.items():
            if column in self._used or cell is None or (texts and cell == "" and column != "output"):
                continue
            rank = None if column == "time" else self._rank(column)
            if column == "attributes" and isinstance(cell, dict):
                given = fields.setdefault("attributes", {})
                if isinstance(given, dict):
                    fields["attributes"] = {**cell, **given}
            elif column in ("output", "input") and fields.get(column) is None:
                self._place_text(fields, column, cell)
            elif _is_field(column, cell, texts):
                if column == "time" and _is_clock(cell):
                    cell = self._with_date(row, cell)
                _place(fields, column, self._read_cell(column, column, cell, 1.0))
            elif rank is not None:
                times.append((rank, column))
            elif column in _ALIASES or column == "prompt":
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
            if column != "time" and self._rank(column) == _TIME_NAMES["date"] and isinstance(cell, str):
                return f"{cell.strip()} {clock.strip()}"
        return clock

    def _place_time(self, fields: Row, column: str, cell: Any) -> bool:
        """Take a column that is named as a time as the time, where it is one and there is none yet."""
        if is_missing(cell):
            return True
        if fields.get("time") is not None:
            return False
        try:
            moment = moment_of(cell, day_first=self._day_first.get(column))
        except InvalidEvent as invalid:
            why = invalid.detail.removeprefix("time: ")
            example = why if shown(cell) in why else f"{shown(cell)}: {why}"
            self._note(f"{column!r} cannot be read as a time, and is an attribute", 1, example)
            return False
        if not EARLIEST <= moment.seconds < LATEST:
            self._note(f"{column!r} is not taken as the time where it lies before 1990 or after 2099", 1, shown(cell))
            return False
        fields["time"] = moment.seconds
        self._note(f"the time is taken from {column!r}", 1)
        self._note_unit(column, moment.unit)
        return True

    def _note_unit(self, column: str, unit: str | None) -> None:
        if unit is not None:
            self._note(f"{column!r} is in {unit} since 1970", 1)

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
        self._note(f"the {target} is read from chat messages", 1)
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
        target, factor = _ALIASES[column]
        if target in _FLOATS or target in _INTS:
            number = self._number(target, column, cell, factor)
            return number is not None and _place(fields, target, number)
        if not isinstance(cell, (str, int)):
            return False
        return _place(fields, target, str(cell))

    def _number(self, target: str, column: str, cell: Any, factor: float) -> float | int | None:
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
        if target in _INTS and number is not None:
            number = int(number) if float(number).is_integer() else None
        if number is None or number < 0:
            why = "it is no number that fits"
            if _is_unclear(cell, commas):
                why = "its comma may mark decimals or thousands: write a decimal point"
            self._note(f"{column!r} is not used where {why}", 1, shown(cell))
            return None
        return number

    def _read_cell(self, target: str, column: str, cell: Any, factor: float) -> Any:
        """A cell as the type that its field has, as far as its form allows; the reader refuses what does not fit."""
        if target in ("id", "session.id") and isinstance(cell, int) and not isinstance(cell, bool):
            return str(cell)
        if target == "time":
            if is_missing(cell):
                return None
            moment = moment_of(cell, day_first=self._day_first.get(column))
            self._note_unit(column, moment.unit)
            return moment.seconds
        if target in _FLOATS or target in _INTS:
            if is_missing(cell):
                return None
            if factor == 1.0 and not isinstance(cell, str):
                return cell
            number = self._number(target, column, cell, factor)
            return cell if number is None else number
        if self._texts and target in _STRUCTURED and cell.lstrip()[:1] in ("{", "["):
            try:
                return parse_json(f'{{"cell":{cell}}}'.encode())[0]["cell"]
            except InvalidEvent:
                return cell
        return cell


_MEANINGS = {"decimal": "decimal commas", "thousands": "separators of thousands"}


def _is_unclear(cell: Any, commas: Commas) -> bool:
    return commas == "unclear" and isinstance(cell, str) and "," in cell


def _is_clock(cell: Any) -> bool:
    return isinstance(cell, str) and _CLOCK_ONLY.fullmatch(cell) is not None


def _seconds_of(target: str) -> tuple[str, float]:
    """`latency.total_ms`, which may be mapped, as the field in seconds and what makes seconds of it."""
    if target in ("latency.total_ms", "latency.first_token_ms"):
        return f"{target.removesuffix('_ms')}_s", 1e-3
    return target, 1.0


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


def _dig(row: Row, column: str, steps: list[str]) -> Any:
    """A column by its name, or by its path into nested JSON (`choices.0.text`)."""
    return row[column] if column in row else dig(row, steps)


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


def _is_field(column: str, cell: Any, texts: bool) -> bool:
    """Whether a column is a field of an event by its own name; a plain `model` or `prompt` is not."""
    top, dot, _ = column.partition(".")
    if dot:
        return top in _STRUCTURED
    if column in _PARTS:
        return isinstance(cell, dict) or (texts and cell.lstrip()[:1] == "{")
    return column in _TOP
