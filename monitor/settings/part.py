"""A section of the settings: what all of them share."""

from __future__ import annotations

from pydantic import (
    BaseModel,
    ConfigDict,
)


class Part(BaseModel):
    """One section of the file: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")
