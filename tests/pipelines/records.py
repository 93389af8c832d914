"""Kafka records for tests that need no Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Record:
    partition: int
    offset: int
    value: bytes | None = b"x"
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp_type: int = 0
    topic: str = "oqm.outputs"

    @property
    def serialized_value_size(self) -> int:
        return len(self.value or b"")


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
