"""What commands print: JSON lines and tables on stdout; progress, counts and notes on stderr."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_ENCODER = msgspec.json.Encoder()


def json_bytes(record: Any) -> bytes:
    """One record as compact JSON; NaN becomes null, a lone surrogate (no valid UTF-8) the replacement character."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_clean(msgspec.to_builtins(record)))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def print_json(record: Any, *, flush: bool = False) -> None:
    """Write one JSON line to stdout. `flush` for commands that go on for long between lines."""
    sys.stdout.buffer.write(json_bytes(record) + b"\n")
    if flush:
        sys.stdout.buffer.flush()


def tables() -> Console:
    """The console for results, on stdout."""
    return Console(highlight=False)


def notes() -> Console:
    """The console for everything that is not the result, on stderr."""
    return Console(stderr=True, highlight=False)


def progress(console: Console, *, shown: bool = True) -> Progress:
    """A progress bar that disappears when done; off where `console` is no terminal or `shown` is false."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
