"""What the audience sees: a live picture on a terminal, plain lines anywhere else, nothing with `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitor.demo.faults import Fault
from monitor.events.schema import OutputEvent


@dataclass(slots=True)
class FeatureRow:
    """One feature of a stream: its value in the reference and lately, as text."""

    name: str
    reference: str
    current: str
    evidence: float


@dataclass(slots=True)
class View:
    """Everything shown at one moment."""

    broker: str
    elapsed_s: float = 0.0
    phase: str = ""
    published: int = 0
    streams: dict[str, str] = field(default_factory=dict)
    latest: Sequence[OutputEvent] = ()
    watched: str = ""
    features: Sequence[FeatureRow] = ()
    fault: Fault | None = None


class Screen(Protocol):
    """Where the demo is shown. `show` is called a few times a second, `say` once per thing that happened."""

    def __enter__(self) -> Screen:
        """Take over the terminal."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Give it back."""
        ...

    def show(self, view: View) -> None:
        """Replace the picture."""
        ...

    def say(self, message: RenderableType) -> None:
        """Print something that stays."""
        ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        """Nothing to take over."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to give back."""

    def show(self, view: View) -> None:
        """Nothing."""

    def say(self, message: RenderableType) -> None:
        """Nothing."""


class Lines:
    """For a log or a pipe: what happened, and a line of progress now and then."""

    def __init__(self, console: Console, every_s: float = 5.0) -> None:
        self._console = console
        self._every_s = every_s
        self._next = 0.0

    def __enter__(self) -> Lines:
        """Nothing to take over."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to give back."""

    def show(self, view: View) -> None:
        """A line every few seconds."""
        if view.elapsed_s < self._next:
            return
        self._next = view.elapsed_s + self._every_s
        states = ", ".join(f"{stream} {state}" for stream, state in view.streams.items())
        self._console.print(
            f"{view.elapsed_s:5.0f} s  {view.published:6,} events  {view.phase}  {states}", soft_wrap=True
        )

    def say(self, message: RenderableType) -> None:
        """Print it."""
        self._console.print(message, soft_wrap=True)


class Terminal:
    """A live picture below the lines that stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=6, transient=True)

    def __enter__(self) -> Terminal:
        """Start the live picture."""
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """End the live picture; the lines stay."""
        self._live.stop()

    def show(self, view: View) -> None:
        """Replace the picture."""
        self._live.update(_picture(view, self._console.height))

    def say(self, message: RenderableType) -> None:
        """Print above the picture."""
        self._live.console.print(message, soft_wrap=True)


def _picture(view: View, height: int) -> RenderableType:
    head = Text.assemble(
        (f" {view.elapsed_s:4.0f} s ", "reverse"),
        f"  {view.published:,} outputs published to {view.broker}   ",
        (view.phase, "bold"),
    )
    states = Text("   ").join(
        Text.assemble(f" {stream} ", (state, _COLOURS.get(state, ""))) for stream, state in view.streams.items()
    )
    parts: list[RenderableType] = [head, states]
    room = max(4, height - 8)
    features = view.features[: max(3, room // 2)]
    if view.latest:
        parts.append(_flow(list(view.latest)[-max(2, min(8, room - len(features) - 6)) :]))
    if features:
        parts.append(_feature_table(view.watched, features))
    return Group(*parts)


_COLOURS = {"warming": "yellow", "stable": "green", "drift": "bold red", "silent": "magenta", "unknown": "magenta"}


def _flow(events: Sequence[OutputEvent]) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, ratio=2, overflow="ellipsis")
    table.add_column(no_wrap=True, ratio=5, overflow="ellipsis")
    for event in events:
        stream = event.stream.rpartition("/")[2]
        table.add_row(stream, Text(event.input or "", style="cyan"), Text(" ".join((event.output or "").split())))
    return Panel(table, title="events", title_align="left", border_style="dim")


def _feature_table(stream: str, rows: Sequence[FeatureRow]) -> Panel:
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("feature")
    table.add_column("reference", justify="right")
    table.add_column("now", justify="right")
    for row in rows:
        moved = "bold red" if row.evidence > 2 else ""
        table.add_row(row.name, row.reference, Text(row.current, style=moved))
    return Panel(table, title=f"features of {stream}", title_align="left", border_style="dim")
