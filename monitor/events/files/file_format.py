"""Which format a file has, by its name; and whether its content can be that, by its first bytes."""

from __future__ import annotations

from pathlib import Path

from monitor.errors import ConfigError
from monitor.events.files.compression import open_unpacked
from monitor.events.files.csv import DAMAGED

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


def stem(path: str | Path) -> str:
    """The file's name without the suffixes that say format and compression: `alpacaeval.jsonl.gz` -> `alpacaeval`."""
    name = Path(path).name
    while True:
        shorter, dot, suffix = name.rpartition(".")
        if not shorter or (dot + suffix).lower() not in _SUFFIXES:
            return name
        name = shorter


# --- bytes to rows ----------------------------------------------------------------------------------------------


def format_of(path: Path) -> str:
    """`jsonl`, `csv` or `parquet`, by the file's name. Raises `ConfigError` for another name."""
    for suffix in reversed(path.suffixes):
        if suffix.lower() in _FORMATS:
            return _FORMATS[suffix.lower()]
    raise ConfigError(f"{path}: cannot tell its format; name it .jsonl, .csv or .parquet (and .gz, .bz2, .xz, .zst)")


def check_text(path: Path) -> None:
    """Refuse what is no text in UTF-8, by its first bytes."""
    with open_unpacked(path) as file:
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
