"""What can be asked of the store, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_RESULTS = 10_000  # of one search: more is no longer read by a person, and would take memory without bound


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs that fit all of what is given; the newest first.

    `stream` is a glob; `since` and `until` are seconds since 1970, the end excluded; `version`, and `text` in input or
    output, are parts of what they are looked for in, upper and lower case alike; `check` is the name of a criterion
    that the output violates.
    """

    stream: str | None = None
    since: float | None = None
    until: float | None = None
    version: str | None = None
    session: str | None = None
    trace: str | None = None
    check: str | None = None
    text: str | None = None
    limit: int = 50


class StoredOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output as the store has it: texts in the form that privacy allows."""

    stream: str
    id: str
    time: float
    input: str | None = None
    output: str | None = None
    version: str | None = None
    prompt_text: str | None = None
    violations: list[str] = msgspec.field(default_factory=list)
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
    topic: str
    partition: int
    position: int
