"""`DeclaredAttribute`: what the settings say of an attribute of events, such as a rating or the verdict of a judge.

Read by the family `feedback`, which measures what is declared whatever its name, and by detection, which learns from it
which direction hurts. May import `monitor.features.base` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.features.base import Worse

MAX_NAME_CHARACTERS = 64
"""As long as the key of a column may be (`monitor.features.keyed.MAX_KEY_CHARACTERS`), so that no name is cut."""
MAX_DECLARED = 16
"""Attributes declared for one stream: each is a column of its reference, which alone costs some 2 KB a stream."""


class DeclaredAttribute(BaseModel):
    """An attribute that says something of an output: watched as a feature, and never named as a part of the traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARACTERS, description="name in the event's `attributes`")
    kind: Literal["number", "flag", "category", "ignore"] = Field(
        description="number, flag (true or false), category (one of few texts), or ignore: not watched at all"
    )
    worse: Literal["up", "down"] | None = Field(None, description="direction that hurts; null: neither is known to")

    @model_validator(mode="after")
    def _direction_fits(self) -> DeclaredAttribute:
        if self.worse is not None and self.kind not in ("number", "flag"):
            raise ValueError(f"worse: has a meaning for a number or a flag only, not for {self.kind}")
        return self

    @property
    def direction(self) -> Worse:
        """The direction that hurts, as features have it."""
        return Worse.EITHER if self.worse is None else Worse(self.worse)


@lru_cache(maxsize=256)
def by_name(attributes: tuple[DeclaredAttribute, ...]) -> Mapping[str, DeclaredAttribute]:
    """The attributes by their names; streams that are declared alike share one mapping."""
    return {attribute.name: attribute for attribute in attributes}


Declared: TypeAlias = Callable[[str], Mapping[str, DeclaredAttribute]]
"""The declared attributes of a stream by their names; asked once per event with attributes, so it must be quick."""


def nothing_declared(_stream: str) -> Mapping[str, DeclaredAttribute]:
    """No stream has declared attributes."""
    return {}
