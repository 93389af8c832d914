"""`Window`: which of the messages that were taken are done, and up to where a partition's offset may be committed.

Judgments of one partition end in any order, as evaluators answer. Only what lies before the first message that is not
done may be committed: a crash repeats what lies behind it, and loses nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


class Window(Generic[P]):
    """Messages in hand, by partition; offsets of a partition are taken in rising order."""

    def __init__(self) -> None:
        self._open: dict[P, dict[int, int]] = {}
        self._done: dict[P, int] = {}
        self.messages = 0
        """Messages in hand."""
        self.bytes = 0
        """Their bytes."""

    def take(self, partition: P, offset: int, size: int) -> None:
        """A message of `size` bytes is in hand."""
        self._open.setdefault(partition, {})[offset] = size
        self.messages += 1
        self.bytes += size

    def done(self, partition: P, offset: int) -> None:
        """Its judgments are confirmed. Nothing where the partition was dropped meanwhile."""
        size = self._open.get(partition, {}).pop(offset, None)
        if size is None:
            return
        self.messages -= 1
        self.bytes -= size
        self._done[partition] = max(self._done.get(partition, 0), offset + 1)

    def drop(self, partition: P) -> None:
        """The partition is another worker's."""
        for size in self._open.pop(partition, {}).values():
            self.messages -= 1
            self.bytes -= size
        self._done.pop(partition, None)

    def positions(self) -> dict[P, int]:
        """Per partition with anything done, the offset of the first message that is not done."""
        # A dictionary keeps the order in which offsets were taken, which is rising.
        return {partition: next(iter(self._open.get(partition, ())), end) for partition, end in self._done.items()}
