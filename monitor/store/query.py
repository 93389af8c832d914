"""What can be asked of the store, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

MAX_RESULTS = 10_000  # of one search: more is no longer read by a person, and would take memory without bound


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs that fit all of what is given; the newest first.

    `stream` is a glob, `of_stream` a name as it is, whatever characters it has; `since` and `until` are seconds since
    1970, the end excluded; `version`, and `text` in input or output, are parts of what they are looked for in, upper
    and lower case alike; `check` is the name of a criterion that the output violates.
    """

    stream: str | None = None
    of_stream: str | None = None
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


class OutputId(NamedTuple):
    """Which output it is: id, time in seconds since 1970, and the event's other fields as JSON."""

    id: str
    time: float
    fields: str


class StoredJudgment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an evaluator said of an output by one criterion; the fields are those of `monitor.judgment.records`.

    `rationale` is in the form that privacy allows.
    """

    stream: str
    event: str
    topic: str | None = None
    partition: int | None = None
    position: int | None = None
    criterion: str
    purpose: str
    finding: str | None = None
    side: str | None = None
    passed: bool | None = None
    missing: str | None = None
    score: float | None = None
    rationale: str | None = None
    evaluator: str
    identity: str
    answered_by: str = ""
    probability: float = 1.0
    stratum: str = ""
    tokens: int = 0
    cost_usd: float = 0.0
    latency_s: float = 0.0
    cached: bool = False
    judged_at: float

    def of(self, output: StoredOutput) -> bool:
        """Whether it says something of this output, and not of another with the same id."""
        if self.topic is None:
            return self.stream == output.stream
        return (self.topic, self.partition, self.position) == (output.topic, output.partition, output.position)
