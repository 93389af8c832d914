"""Replay input: output events from JSONL, CSV and Parquet files, plain or compressed, read as a stream.

A file is not always written for us, so it is read more kindly than a topic: a string `model` is the model's name, a
string `prompt` the input where that is absent, `stream` defaults to the file's stem, names that can only mean one thing
(`latency_s`, `tokens_in`, `created_at`) go to their place, other columns become `attributes`. A column named otherwise
is mapped by option. What cannot be read is yielded as `InvalidEvent`, with file and line, and reading goes on; what had
to be understood (a unit, which column is the time) is noted in `FileNotes`.

May import `monitor.errors` and this package. pandas is not needed; pyarrow (Parquet) and zstandard are optional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.columns import FileColumns
from monitor.events.files.compression import open_unpacked
from monitor.events.files.csv import read_csv
from monitor.events.files.file_format import check_text, format_of, stem
from monitor.events.files.jsonl import read_jsonl
from monitor.events.files.mapping import check_columns, check_mapping
from monitor.events.files.notes import FileNotes
from monitor.events.files.parquet import read_parquet
from monitor.events.files.row_reader import RowReader
from monitor.events.schema import OutputEvent


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
        compressed (gzip, bzip2, xz, Zstandard), which is recognised from the content.
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
    check_mapping(mapping)
    file_format = format_of(path)
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not a file")
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no regular file, and is read more than once; write it to a file first")
        notes = FileNotes() if notes is None else notes
        semicolons = False
        if file_format == "parquet":
            rows = read_parquet(path, mapping)
        else:
            check_text(path)
            if file_format == "csv":
                table = read_csv(path, lambda: open_unpacked(path))
                try:
                    check_columns(path, table.columns, mapping)
                except ConfigError:
                    table.close()
                    raise
                rows, semicolons = table.rows, table.separator == ";"
            else:
                rows = read_jsonl(path, open_unpacked(path), notes)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    columns = FileColumns(path.name, mapping, semicolons, notes)
    return RowReader(path.name, stream or stem(path), columns, texts=file_format == "csv").events(rows)
