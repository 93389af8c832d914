"""`Followed`: how much followed from the outputs of a finding since its change began, its blast radius.

The role store counts it (`pipelines.cascades`) where events and actions say what they follow from, and the numbers
enter the log `oqm.features` as a control row with the action `followed`. So what an alert says of them is in the log,
and a pass over it finds the same. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from monitor.errors import InvalidEvent

FINDING, FOLLOWED = "finding", "followed"
"""Keys of a control row's `data`: the id of the finding, and the `Followed`."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What followed from the outputs since a change began, as it was counted some time after the alert."""

    began_with: Annotated[int, Meta(description="Outputs of the finding since its change began.")]
    outputs: Annotated[int, Meta(description="Outputs, of any stream, that followed from them.")]
    streams: Annotated[int, Meta(description="Streams of those outputs.")]
    actions: Annotated[int | None, Meta(description="Actions that followed; null where no ledger is known.")]
    at_least: Annotated[bool, Meta(description="Whether the numbers are lower bounds: counting ended at a limit.")]
    time: Annotated[float, Meta(description="When it was counted, seconds since 1970.")]

    @property
    def text(self) -> str:
        """The numbers as people read them, one line."""
        least = "at least " if self.at_least else ""
        acted = "" if self.actions is None else f" and {_count(self.actions, 'action')}"
        outputs = f"{_count(self.outputs, 'output')} in {_count(self.streams, 'stream')}"
        return f"From {_count(self.began_with, 'output')} followed {least}{outputs}{acted}"

    def follows(self, known: Followed | None) -> bool:
        """Whether it takes the place of what is known: nothing, or fewer outputs and actions."""
        return known is None or self._size > known._size

    @property
    def _size(self) -> int:
        return self.outputs + (self.actions or 0)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def to_data(finding: str, followed: Followed) -> dict[str, Any]:
    """The `data` of a control row with the action `followed`; `finding` is the id."""
    return {FINDING: finding, FOLLOWED: msgspec.to_builtins(followed)}


def from_data(data: Mapping[str, Any]) -> tuple[str, Followed]:
    """Id of the finding, and the numbers. Raises `InvalidEvent` for other data."""
    try:
        return msgspec.convert(data.get(FINDING), str), msgspec.convert(data.get(FOLLOWED), Followed)
    except msgspec.ValidationError as wrong:
        raise InvalidEvent("wrong_followed", f"a control row `followed` that cannot be read: {wrong}") from wrong
