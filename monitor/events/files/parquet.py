"""Rows of Parquet files. Needs pyarrow, which is an extra."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.mapping import check_columns
from monitor.events.files.rows import Row, Rows
from monitor.events.reasons import Reason


def read_parquet(path: Path, mapping: Mapping[str, str]) -> Rows:
    """The rows of a file. Raises `ConfigError` where it cannot be used at all, or has no column of the mapping."""
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
    check_columns(path, columns, mapping)

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
