"""What commands print: JSON lines and tables on stdout; progress, counts and notes on stderr."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from monitor.errors import ConfigError, InvalidEvent

if TYPE_CHECKING:
    from monitor.events.schema import OutputEvent

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


EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE, which a shell reports for any program whose reader left."""


def leave_quietly() -> NoReturn:
    """End the program without a message: the reader of stdout (`| head`) has left, which is no error."""
    # Otherwise the interpreter's flush at exit would fail on the closed pipe again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(EXIT_BROKEN_PIPE)


def print_json(record: Any, *, flush: bool = False) -> None:
    """Write one JSON line to stdout. `flush` for commands with long pauses between lines."""
    try:
        sys.stdout.buffer.write(json_bytes(record) + b"\n")
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        leave_quietly()


class _Results(Console):
    def on_broken_pipe(self) -> None:
        leave_quietly()


UNBOUNDED_COLUMNS = 100_000
"""Width of a result that nobody reads on a screen: no line of ours is longer, so that grep finds every name whole."""


def tables() -> Console:
    """The console for results, on stdout: as wide as the terminal, or as COLUMNS says; unbounded in a pipe or a file.

    NO_COLOR, FORCE_COLOR and TERM=dumb are heeded by rich.
    """
    bounded = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return _Results(highlight=False, width=None if bounded else UNBOUNDED_COLUMNS)


def is_screen(console: Console) -> bool:
    """Whether a person sees what is printed at once, so that it may be drawn over: live tables, progress bars.

    FORCE_COLOR makes rich take a pipe for a terminal, which it is only for colours.
    """
    return console.is_terminal and console.file.isatty()


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
        disable=not (shown and is_screen(console)),
    )


def say_understood(understood: Iterable[str]) -> None:
    """Print on stderr how files were read: the first sentences, and the number of the others."""
    console = notes()
    sentences = list(understood)
    for sentence in sentences[:_MAX_SENTENCES]:
        console.print(f"note: {sentence}", style="cyan", soft_wrap=True, markup=False)
    if len(sentences) > _MAX_SENTENCES:
        console.print(f"note: and {len(sentences) - _MAX_SENTENCES} more like these", style="cyan", soft_wrap=True)


_MAX_SENTENCES = 12  # of notes about files: they fit on a screen with the findings


class Rejected:
    """Records of a file that are no events: the first few are shown one by one, all are counted."""

    shown_singly = 5
    """Enough to see what is wrong; a wrong file has thousands."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.reasons: Counter[str] = Counter()
        self.accepted = 0

    def drop_from(self, records: Iterable[OutputEvent | InvalidEvent]) -> Iterator[OutputEvent]:
        """The events among the records."""
        for record in records:
            if isinstance(record, InvalidEvent):
                self.add(record)
            else:
                self.accepted += 1
                yield record

    def add(self, error: InvalidEvent) -> None:
        """Count one, and show it while they are few."""
        self.reasons[error.reason] += 1
        if self.reasons.total() <= self.shown_singly:
            self._console.print(f"skipped: {error.detail}", style="yellow", soft_wrap=True, markup=False)

    def summarise(self) -> None:
        """Print how many there were in all, where some were not shown.

        Raises `ConfigError` where there were records and not one was an event: "nothing found" would be no answer.
        """
        if self.reasons.total() > self.shown_singly:
            counted = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common())
            self._console.print(f"skipped {self.reasons.total():,} records: {counted}", style="yellow", soft_wrap=True)
        if self.reasons and not self.accepted:
            raise ConfigError(f"none of {self.reasons.total():,} records is an output event")
