"""The section `cascades`: from when on what follows from one output is too much."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field

from monitor.config_values.durations import Duration
from monitor.settings.part import Part


class CascadeOverride(Part):
    """Other limits for cascades that begin in some streams."""

    match: str = Field(min_length=1, description="glob on the name of the stream of the first output")
    depth: int | None = Field(None, ge=2, description="as `cascades.depth`")
    repeats: int | None = Field(None, ge=2, description="as `cascades.repeats`")
    actions: int | None = Field(None, ge=2, description="as `cascades.actions`")


class CascadeLimits(Part):
    """The limits that hold for a stream."""

    depth: int
    repeats: int
    actions: int


class Cascades(Part):
    """From when on what follows from one output is a finding of kind `cascade`; needs the trace store."""

    depth: int = Field(50, ge=2, description="steps in a chain of outputs that follow from one another; from then on")
    repeats: int = Field(
        20, ge=2, description="times that one stream comes in such a chain, as in a loop of agents; from then on"
    )
    actions: int = Field(
        100, ge=2, description="actions that follow from one output `within`; a mail to a list of 500 needs more"
    )
    within: Duration = Field(
        3_600.0, gt=0, validate_default=True, description="time in which the actions of one output are counted"
    )
    streams: tuple[CascadeOverride, ...] = Field(
        (), description="other limits where the first output is of certain streams; the later one takes precedence"
    )

    def for_stream(self, name: str) -> CascadeLimits:
        """The limits of cascades that begin with an output of this stream."""
        limits = {"depth": self.depth, "repeats": self.repeats, "actions": self.actions}
        for override in self.streams:
            if fnmatchcase(name, override.match):
                own = override.model_dump(exclude={"match"}, exclude_none=True)
                limits |= own
        return CascadeLimits(**limits)
