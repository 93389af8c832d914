"""What a flag says of an event, and of which feature. Pure."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import msgspec

from monitor.detection.records.finding import FAMILY_MISSING, TAIL

ANY_FAILURE = "output.any_failure"
"""Whether any flag is true that is a fault in itself and unusual: a few answers broken in several ways are many broken
answers."""


_MAX_SHARED = 4096
"""Flags that are remembered: those of some dozens of applications with a hundred each."""


class FlagKind(StrEnum):
    """What a flag says."""

    DECLARED = "declared"  # the feature, a flag itself, is true
    NONZERO = "nonzero"  # a count that is mostly zero is not
    VALUE = "value"  # a category has this value, which is common in the reference
    OTHER = "other"  # a category has none of its common values
    DIFFERS = "differs"  # a feature that never varied in the reference has another value
    MISSING = "missing"  # more values of a family than usual are missing
    ANY_FAILURE = "any_failure"  # a flag that is a fault in itself is true
    TAIL = "tail"  # a time that hurts where it is long is among the longest


ENDINGS = {FlagKind.MISSING: FAMILY_MISSING, FlagKind.TAIL: TAIL}
"""What is added to a feature's (or family's) name in findings."""


class Flag(msgspec.Struct, frozen=True):
    """One watched flag: of which feature (or family, for `missing`), and what about it.

    `failure` says that its being true is a fault in itself, `usual` that this fault is common in the reference.
    """

    feature: str
    kind: FlagKind
    value: str | float | None = None
    failure: bool = False
    usual: bool = False


@lru_cache(maxsize=_MAX_SHARED)
def shared_flag(
    feature: str, kind: FlagKind, value: str | float | None = None, failure: bool = False, usual: bool = False
) -> Flag:
    """A flag; equal flags are one object for all streams: a process watches thousands of streams alike."""
    return Flag(feature, kind, value, failure, usual)
