"""Replay input: output events from JSONL, CSV and Parquet files, plain or compressed, read as a stream.

A file is not always written for us, so it is read more kindly than a topic: a string `model` is the model's name, a
string `prompt` the input where that is absent, `stream` defaults to the file's stem, names that can only mean one thing
(`latency_s`, `tokens_in`) go to their place, other columns become `attributes`. A column named otherwise is mapped by
option. What cannot be read is yielded as `InvalidEvent`, with file and line, and reading goes on.

May import `monitor.errors` and this package. pandas is not needed; pyarrow (Parquet) and zstandard are optional.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import math
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from monitor.errors import ConfigError, InvalidEvent
from monitor.events import cloudevents, opentelemetry
from monitor.events.readers import MAX_BYTES, build_event, parse_json, parse_time
from monitor.events.reasons import Reason
from monitor.events.schema import OutputEvent

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
_DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error)

# Names in other people's files that can mean one thing only, and what to multiply them by.
_ALIASES: dict[str, tuple[str, float]] = {
    "latency_s": ("latency.total_s", 1.0),
    "latency_ms": ("latency.total_s", 0.001),
    "latency": ("latency.total_s", 1.0),
    "first_token_s": ("latency.first_token_s", 1.0),
    "ttft_s": ("latency.first_token_s", 1.0),
    "ttft_ms": ("latency.first_token_s", 0.001),
    "input_tokens": ("usage.input_tokens", 1),
    "tokens_in": ("usage.input_tokens", 1),
    "prompt_tokens": ("usage.input_tokens", 1),
    "output_tokens": ("usage.output_tokens", 1),
    "tokens_out": ("usage.output_tokens", 1),
    "completion_tokens": ("usage.output_tokens", 1),
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
    "timestamp": ("time", 1),
    "ts": ("time", 1),
}
_TOP = frozenset(OutputEvent.__struct_fields__)
_PARTS = frozenset(("model", "prompt", "usage", "latency", "session", "trace"))
_FLOATS = frozenset(("latency.total_s", "latency.first_token_s", "cost_usd"))
_INTS = frozenset(("usage.input_tokens", "usage.output_tokens", "usage.context_limit", "session.turn"))
_STRUCTURED = frozenset(("steps", "calls", "action", "attributes", "extra", *_PARTS))


def parse_mapping(text: str) -> dict[str, str]:
    """`output=completion,stream=service` as {field of the event: column of the file}.

    Raises `ConfigError` for what is no such list, or names no field of an event.
    """
    mapping: dict[str, str] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
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
    path: str | Path, mapping: Mapping[str, str] | None = None, stream: str | None = None
) -> Iterator[OutputEvent | InvalidEvent]:
    """Events of one file, in its order; lines that are none come as `InvalidEvent` whose detail begins `file:line:`.

    Parameters
    ----------
    path
        `.jsonl`, `.ndjson`, `.json` (one object a line), `.csv`, `.tsv` or `.parquet`; all but Parquet may be
        compressed (gzip, bzip2, xz, Zstandard), which is told by the content.
    mapping
        {field: column}; a field is written with dots (`model.name`), a column may be a path into nested JSON.
    stream
        Stream of rows that name none; the file's stem by default.

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
        rows = _read_parquet(path, mapping) if kind == "parquet" else _open_rows(path, kind, mapping)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    return _events(path.name, rows, mapping, stream or stem(path), kind)


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


def _open_rows(path: Path, kind: str, mapping: Mapping[str, str]) -> Rows:
    file = _open(path)
    try:
        start = file.peek(4)[:4]
    except _DAMAGED as error:
        file.close()
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        file.close()
        raise ConfigError(f"{path}: is UTF-16; encode it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    return _read_csv(path, file, mapping) if kind == "csv" else _read_jsonl(path, file)


def _read_jsonl(path: Path, file: io.BufferedReader) -> Rows:
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
            except _DAMAGED as error:
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
                yield line, parse_json(text)[0]
            except InvalidEvent as invalid:
                yield line, invalid


def _read_csv(path: Path, file: io.BufferedReader, mapping: Mapping[str, str]) -> Rows:
    # The csv module's own limit, 131,072 characters, is less than one long output; it has no other place to be set.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    # surrogateescape: bytes that are not UTF-8 spoil their own row, not the rest of the file.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        first = text.readline(1 << 20)
    except _DAMAGED as error:
        text.close()
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    delimiter = max(",;\t", key=first.count)
    columns = next(csv.reader([first], delimiter=delimiter), [])
    missing = [column for column in mapping.values() if column not in columns]
    if missing:
        text.close()
        raise ConfigError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(columns) or 'none'}")
    return _csv_rows(text, columns, delimiter)


def _csv_rows(text: io.TextIOWrapper, columns: list[str], delimiter: str) -> Rows:
    with text:
        reader = csv.reader(text, delimiter=delimiter)
        while True:
            line = reader.line_num + 2  # the header is line 1; a record may span lines and is named by its first
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, InvalidEvent(Reason.BAD_ROW, f"{error}; quote fields as RFC 4180 has it")
                continue
            except _DAMAGED as error:
                yield line, InvalidEvent(Reason.UNREADABLE, f"the file is damaged from here on ({error})")
                return
            if not cells:
                continue
            if len(cells) != len(columns):
                yield (
                    line,
                    InvalidEvent(
                        Reason.BAD_ROW,
                        f"{len(cells)} fields where the header has {len(columns)}; quote fields with separators",
                    ),
                )
                continue
            if any(not cell.isascii() and _has_surrogate(cell) for cell in cells):
                yield line, InvalidEvent(Reason.NOT_UTF8, "the row is not UTF-8; encode the file as UTF-8")
                continue
            yield line, dict(zip(columns, cells, strict=True))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


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
    missing = [
        column for column in mapping.values() if column.partition(".")[0] not in columns and column not in columns
    ]
    if missing:
        raise ConfigError(f"{path}: has no column {missing[0]!r}; its columns are {', '.join(columns)}")

    def rows() -> Rows:
        line = 0
        with file:
            batches = file.iter_batches(batch_size=512)
            while True:
                try:
                    batch = next(batches, None)
                    if batch is None:
                        return
                    content = batch.to_pylist()
                except (pyarrow.ArrowException, OSError, ValueError) as error:
                    yield line + 1, InvalidEvent(Reason.UNREADABLE, f"the file is damaged from here on ({error})")
                    return
                for row in content:
                    line += 1
                    yield line, {name: _plain(cell) for name, cell in row.items()}

    return rows()


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


def _events(
    file: str, rows: Rows, mapping: Mapping[str, str], stream: str, kind: str
) -> Iterator[OutputEvent | InvalidEvent]:
    texts = kind == "csv"
    for line, row in rows:
        columns: list[str] = []
        try:
            if isinstance(row, InvalidEvent):
                raise row
            if "specversion" in row:
                row = cloudevents.unwrap(row, {})
            columns = list(row)
            fields = _shape(row, mapping, texts)
            if fields.get("stream") in (None, ""):
                fields["stream"] = stream
            yield build_event(fields, default_id=f"{file}:{line}", timestamp=None)[0]
        except InvalidEvent as invalid:
            detail = _no_output(mapping, columns) if invalid.reason == Reason.MISSING_OUTPUT else invalid.detail
            yield InvalidEvent(invalid.reason, f"{file}:{line}: {detail}")


def _no_output(mapping: Mapping[str, str], columns: list[str]) -> str:
    if "output" in mapping:
        return f"no {mapping['output']!r} (mapped to output)"
    if "output" in columns:
        return "output is null, and there is no error that would explain it"
    return f"no `output`; map a column to it, such as output=completion (columns: {', '.join(columns)[:200]})"


def _shape(row: Row, mapping: Mapping[str, str], texts: bool) -> Row:
    """Native names for a row of somebody's file. `texts`: all cells are texts (CSV), empty means missing."""
    fields: Row = {}
    used = set(mapping.values())
    for target, column in mapping.items():
        cell = _dig(row, column)
        if cell is not None:
            _place(fields, target, _read_cell(target, cell, texts))
    aliased: list[tuple[str, Any]] = []
    attributes: Row = {}
    for column, cell in row.items():
        if column in used or cell is None:
            continue
        if texts and cell == "" and column != "output":
            continue
        if _is_field(column, cell, texts):
            _place(fields, column, _read_cell(column, cell, texts))
        elif column in _ALIASES or column == "prompt":
            aliased.append((column, cell))
        elif isinstance(cell, (str, int, float)):
            attributes[column] = cell
        else:
            fields[column] = cell  # structured and unknown: the reader keeps it in `extra`
    # After the fields themselves, which win over other names for them.
    for column, cell in aliased:
        if not _place_alias(fields, column, cell):
            attributes[column] = cell
    if opentelemetry.present(attributes):
        for column in [column for column in attributes if opentelemetry.is_name(column)]:
            fields[column] = attributes.pop(column)
    if attributes:
        given = fields.setdefault("attributes", {})
        if isinstance(given, dict):
            fields["attributes"] = {**attributes, **given}
    return fields


def _dig(row: Row, column: str) -> Any:
    """A column by its name, or by its path into nested JSON (`choices.0.text`)."""
    if column in row:
        return row[column]
    content: Any = row
    for step in column.split("."):
        if isinstance(content, dict):
            content = content.get(step)
        elif isinstance(content, list) and step.isdecimal() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


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


def _place_alias(fields: Row, column: str, cell: Any) -> bool:
    if column == "prompt":
        # A template's text where the input is known, else the input itself.
        return isinstance(cell, str) and (_place(fields, "input", cell) or _place(fields, "prompt.text", cell))
    target, factor = _ALIASES[column]
    try:
        if target in _FLOATS:
            cell = float(cell) * factor
            fits = math.isfinite(cell) and cell >= 0
        elif target in _INTS:
            fits = float(cell).is_integer() and float(cell) >= 0
            cell = int(float(cell))
        elif target == "time":
            cell, fits = _time(cell), True
        else:
            cell, fits = str(cell), isinstance(cell, (str, int))
    except (ValueError, TypeError, OverflowError, InvalidEvent):
        return False
    return fits and _place(fields, target, cell)


def _is_field(column: str, cell: Any, texts: bool) -> bool:
    """Whether a column is a field of an event by its own name; a plain `model` or `prompt` is not."""
    top, dot, _ = column.partition(".")
    if dot:
        return top in _STRUCTURED
    if column in _PARTS:
        return isinstance(cell, dict) or (texts and cell.lstrip()[:1] == "{")
    return column in _TOP


def _time(cell: Any) -> float:
    if isinstance(cell, str):
        try:
            return parse_time(float(cell))
        except ValueError:
            pass
    return parse_time(cell)


def _read_cell(target: str, cell: Any, texts: bool) -> Any:
    """A cell as the type that its field has, as far as its form allows; the reader refuses what still does not fit."""
    if target in ("id", "session.id") and isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if target == "time":
        return _time(cell)
    if not texts:
        return cell
    try:
        if target in _FLOATS:
            number = float(cell)
            return number if math.isfinite(number) else None
        if target in _INTS:
            number = float(cell)
            return (int(number) if number.is_integer() else number) if math.isfinite(number) else None
    except ValueError:
        return cell
    if target in _STRUCTURED and cell.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(f'{{"cell":{cell}}}'.encode())[0]["cell"]
        except InvalidEvent:
            return cell
    return cell
