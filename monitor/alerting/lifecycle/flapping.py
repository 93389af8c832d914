"""Flap damping: what fires and resolves again and again is reported once, as one alert that fires.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

from collections import deque

from pydantic import BaseModel, ConfigDict, Field

from monitor.config_values.durations import Duration


class FlapDamping(BaseModel):
    """When an alert counts as flapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int = Field(
        3,
        ge=1,
        description="fire/resolve cycles after which further ones are sent as one alert, as flapping",
    )
    within: Duration = Field(
        3_600.0,
        gt=0,
        validate_default=True,
        description="window for counting cycles; flapping ends after this long without firing",
    )


class FlapHistory:
    """When one cause in one stream fired and resolved, in seconds of one clock."""

    def __init__(self, damping: FlapDamping) -> None:
        self._damping = damping
        self._resolved: deque[float] = deque(maxlen=damping.after)
        self._firing: set[str] = set()
        self._changed = 0.0
        self.flapping = False

    def fired(self, fingerprint: str, time: float) -> bool:
        """Note a firing; whether it is the one that makes the cause flapping."""
        self._firing.add(fingerprint)
        self._changed = time
        if self.flapping:
            return False
        full = len(self._resolved) == self._damping.after
        self.flapping = full and time - self._resolved[0] <= self._damping.within
        return self.flapping

    def resolved(self, fingerprint: str, time: float) -> None:
        """Note that an alert resolved, which may be for a moment only."""
        if fingerprint in self._firing:
            self._firing.discard(fingerprint)
            self._resolved.append(time)
            self._changed = time

    def calm(self, now: float) -> bool:
        """Whether nothing fires and nothing has fired for `within`: the flapping is over."""
        return not self._firing and now - self._changed >= self._damping.within

    @property
    def firing(self) -> int:
        """How many alerts fire now."""
        return len(self._firing)
