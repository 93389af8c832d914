"""Why an event was not delivered: the reasons, the errors of a strict publisher, and the warnings in the log."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from enum import StrEnum

from monitor.errors import InvalidEvent, OqmError
from monitor.events import Reason
from monitor.publisher.field_errors import FieldError

log = logging.getLogger("monitor.publisher.client")

MAX_SUBJECTS = 1_000
"""Of warnings that are remembered: far more than fields and reasons there are. More come where an application makes
field names; then all are forgotten, and some are logged once more."""
WARN_AGAIN_AFTER_S = 60.0
"""The same warning is logged at most once in this time: a broker's absence concerns every event."""


class Undelivered(StrEnum):
    """Why an event did not reach Kafka."""

    BUFFER_FULL = "buffer_full"  # no room, also after waiting: the broker is slower than the application, or away
    TOO_LARGE = "too_large"  # more bytes than a message may have
    NOT_ENCODABLE = "not_encodable"  # holds what JSON cannot carry, or lacks stream or output
    WRONG_TYPE = "wrong_type"  # a field that the monitor would refuse, of a type without a clear meaning there
    OUT_OF_RANGE = "out_of_range"  # right type, impossible value: a negative count, a stream's name of two lines
    TIMEOUT = "timeout"  # not confirmed within the delivery time-out
    REFUSED = "refused"  # the broker, or the client, refused it for good
    CLOSED = "closed"  # published after close, or still unsent when close ran out of time


_REFUSALS: dict[str, Undelivered] = {
    Reason.WRONG_TYPE: Undelivered.WRONG_TYPE,
    Reason.OUT_OF_RANGE: Undelivered.OUT_OF_RANGE,
    Reason.BAD_TIME: Undelivered.OUT_OF_RANGE,
}


class Dropped(OqmError):
    """An event that does not go into the buffer; `error` is what a strict publisher raises for it."""

    def __init__(self, reason: Undelivered, why: str, error: OqmError) -> None:
        super().__init__(why)
        self.reason = reason
        self.error = error
        self.subject = why.partition(":")[0] if isinstance(error, FieldError) else ""

    @classmethod
    def refused(cls, error: InvalidEvent) -> Dropped:
        """For an event that cannot be encoded."""
        return cls(_REFUSALS.get(error.reason, Undelivered.NOT_ENCODABLE), error.detail, error)


class Warnings:
    """Warnings in the application's log: each subject at most once a minute.

    `clock` gives monotonic seconds. Thread-safe, without a lock: at worst a warning is logged twice.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._warned: dict[str, float] = {}
        self._noted: list[tuple[str, str]] = []

    def is_due(self, subject: str, again_after_s: float = WARN_AGAIN_AFTER_S) -> bool:
        """Whether to log this subject now: it has not been logged for `again_after_s`."""
        now = self._clock()
        last = self._warned.get(subject)
        if last is not None and now - last < again_after_s:
            return False
        if len(self._warned) >= MAX_SUBJECTS:
            self._warned.clear()
        self._warned[subject] = now
        return True

    def warn(self, subject: str, text: str) -> None:
        """Log it, at most once a minute and subject."""
        if self.is_due(subject):
            log.warning("%s", text)

    def inform_once(self, text: str) -> None:
        """Log it once in the publisher's life, as information."""
        if self.is_due(text, again_after_s=math.inf):
            log.info("output events: %s", text)

    def note(self, reason: Undelivered, why: str, subject: str = "") -> None:
        """Remember a lost event for `log_noted`: the caller holds a lock, and a log handler may be slow."""
        if self.is_due(f"{reason} {subject}"):
            self._noted.append((reason, why))

    def log_noted(self) -> None:
        """Log what was noted. Called without a lock."""
        while self._noted:
            try:
                reason, why = self._noted.pop(0)
            except IndexError:  # another thread logs it
                return
            log.warning("output event not delivered (%s): %s", reason, why)
