"""CSV as programs write it: the separator, the escapes and the header are recognised, or said to be unclear.

What does not fit is refused row by row, with what to change; a text is never altered. Recognised are commas,
semicolons, tabs and bars, Excel's `sep=;` line, quoted line breaks also in the header, spaces before a quote, and
quotes escaped with a backslash, as Spark and MySQL write them.

May import `monitor.errors` and this package.
"""

from __future__ import annotations

import csv
import io
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.decode import MAX_BYTES
from monitor.events.reasons import Reason

DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error)
"""What reading a damaged file raises, whatever its compression."""

_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 18  # characters that the separator is recognised from: hundreds of rows of ordinary length
_SAMPLE_ROWS = 200  # enough to see which sign separates: the same number of columns in all of them
_SEP_LINE = re.compile(r'\s*"?sep=(?P<sign>.)"?[\r\n]*', re.IGNORECASE)
_MARKS = re.compile(r'\\["\\]|""|"')

Rows: TypeAlias = Iterator[tuple[int, dict[str, Any] | InvalidEvent]]


class Table(NamedTuple):
    """An opened CSV file."""

    columns: list[str]
    separator: str
    rows: Rows
    close: Callable[[], None]


class _Dialect(NamedTuple):
    separator: str
    backslash: bool = False
    skip_spaces: bool = False

    def records(self, lines: Iterable[str]) -> Any:
        """The csv module's reader. Strict: a quote that is not where it belongs is an error, not a guess."""
        return csv.reader(
            _doubled(lines, self.separator) if self.backslash else lines,
            delimiter=self.separator,
            skipinitialspace=self.skip_spaces,
            strict=True,
        )


def read_csv(path: Path, opened: Callable[[], io.BufferedReader]) -> Table:
    """The columns and rows of a file that `opened` opens from its beginning, unpacked.

    Raises `ConfigError` where the file cannot be used at all.
    """
    # The csv module's own limit, 131,072 characters, is less than one long output; it has no other place to be set.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    text = _text(opened())
    try:
        sample = text.read(_SAMPLE)
    except DAMAGED as error:
        text.close()
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    lines = _lines(sample)
    skipped, separator = 0, None
    if lines and (sign := _SEP_LINE.fullmatch(lines[0])):
        skipped, separator = 1, sign["sign"]
    if len(sample) == _SAMPLE and len(lines) > 1:
        lines.pop()  # cut somewhere
    dialect = _dialect(lines[skipped:], separator)
    rest = _rest(text, sample)
    if _has_backslashed_quotes(opened, sample):
        dialect = _fewest_failures(opened, skipped, dialect)
    source = iter(rest)
    for _ in range(skipped):
        next(source, None)
    reader = dialect.records(source)
    try:
        header: list[str] = next(reader, [])
    except csv.Error as error:
        text.close()
        raise ConfigError(f"{path}: its header cannot be read ({error}); quote names as RFC 4180 has it") from None
    except DAMAGED as error:
        text.close()
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    columns = [" ".join(name.split()) for name in header]
    repeated = [name for name, count in Counter(columns).items() if count > 1 and name]
    if repeated:
        text.close()
        raise ConfigError(f"{path}: has {columns.count(repeated[0])} columns {repeated[0]!r}; give each its own name")
    return Table(columns, dialect.separator, _rows(text, reader, columns, skipped), text.close)


def _text(file: io.BufferedReader) -> io.TextIOWrapper:
    # surrogateescape: bytes that are not UTF-8 spoil their own row, not the rest of the file.
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _rest(text: io.TextIOWrapper, sample: str) -> Iterator[str]:
    """All lines of the file, of which `sample` has been read."""
    *whole, last = _lines(sample)
    yield from whole
    following = "" if last.endswith("\n") else text.readline()
    if last.endswith("\r") and not following.startswith("\n"):  # a whole line; else the two are one line break
        yield last
        last = ""
    if last + following:
        yield last + following
    yield from text


def _lines(sample: str) -> list[str]:
    """Lines as `TextIOWrapper(newline="")` gives them: ended by \\n, \\r\\n or \\r alone, and nothing else."""
    found = re.findall(r"[^\r\n]*(?:\r\n|\r(?!\n|\Z)|\n)|[^\r\n]*\r?\Z", sample)
    while len(found) > 1 and not found[-1]:
        found.pop()
    return found or [""]


def _dialect(lines: list[str], separator: str | None) -> _Dialect:
    """The separator of these first lines: the one that gives every row as many fields as the header."""
    if separator is None:
        scores = {}
        for sign in _SEPARATORS:
            widths = [len(cells) for cells in _some(lines, sign) if cells]
            fits = sum(width == widths[0] for width in widths) / len(widths) if widths and widths[0] > 1 else 0.0
            scores[sign] = (round(fits, 1), widths[0] if widths else 0)
        separator = max(_SEPARATORS, key=scores.__getitem__)
        if not scores[separator][0]:
            separator = ","
    header: list[str] = next(iter(_some(lines, separator)), [])
    spaces = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
    return _Dialect(separator, skip_spaces=spaces)


def _some(lines: list[str], separator: str) -> list[list[str]]:
    found: list[list[str]] = []
    reader = csv.reader(lines, delimiter=separator)
    try:
        for cells in reader:
            found.append(cells)
            if len(found) == _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # what it says of the rows before is enough; reading the file says what is wrong
    return found


def _doubled(lines: Iterable[str], separator: str) -> Iterator[str]:
    """Lines in which quotes are escaped with a backslash, as RFC 4180 has them: \\" becomes "" and \\\\ becomes \\.

    Only within quoted fields, and nothing else there: `C:\\new` stays as it is.
    """
    quoted = False
    for line in lines:
        if "\\" not in line and not quoted and '"' not in line:
            yield line
            continue
        parts: list[str] = []
        position = 0
        for mark in _MARKS.finditer(line):
            found, start = mark[0], mark.start()
            if quoted:
                if found == '"':
                    quoted = False
                elif found != '""':
                    parts += [line[position:start], '""' if found == '\\"' else "\\"]
                    position = mark.end()
            elif found[0] == '"' and (start == 0 or line[start - 1] == separator):
                quoted = found == '"'  # two of them are an empty field
        parts.append(line[position:])
        yield "".join(parts)


def _has_backslashed_quotes(opened: Callable[[], io.BufferedReader], sample: str) -> bool:
    if '\\"' in sample:
        return True
    last = b""
    try:
        with opened() as file:
            while chunk := file.read(1 << 20):
                if b'\\"' in last + chunk:
                    return True
                last = chunk[-1:]
    except DAMAGED:
        pass  # reading the rows comes to the same place, and says so
    return False


def _fewest_failures(opened: Callable[[], io.BufferedReader], skipped: int, plain: _Dialect) -> _Dialect:
    """Doubled or backslashed quotes: the way in which more rows of the whole file can be read, doubled where equal."""
    escaped = plain._replace(backslash=True)
    return min((plain, escaped), key=lambda dialect: _failures(opened, skipped, dialect))


def _failures(opened: Callable[[], io.BufferedReader], skipped: int, dialect: _Dialect) -> int:
    failures, width = 0, 0
    with _text(opened()) as text:
        for _ in range(skipped):
            text.readline()
        reader = dialect.records(text)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return failures
            except csv.Error:
                failures += 1
                continue
            except DAMAGED:
                return failures
            width = width or len(cells)
            failures += bool(cells) and len(cells) != width


def _rows(text: io.TextIOWrapper, reader: Any, columns: list[str], skipped: int) -> Rows:
    with text:
        while True:
            line = reader.line_num + skipped + 1  # a record may span lines and is named by its first
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, InvalidEvent(Reason.BAD_ROW, _said(error))
                continue
            except DAMAGED as error:
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


def _said(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said:
        return "a quote that opens here is never closed; double quotes within quoted fields"
    if "expected after" in said:
        return "a quote within a quoted field; double it, as RFC 4180 has it"
    return f"{said}; quote fields as RFC 4180 has it"


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
