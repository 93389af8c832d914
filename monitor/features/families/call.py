"""The call behind an output: time, tokens, cost, dependencies, context and place in the conversation.

What an event does not report is missing. May import its neighbours in this package only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.events.content import calls_tools_only
from monitor.events.schema import ABANDONED, Call, OutputEvent
from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.families.dependencies import LONGEST_NAME, clean, failed
from monitor.features.text.words import EventBatch

_LARGEST = float(np.finfo(np.float32).max)
_MOST_DEPENDENCIES = 8  # the value is a category, and a list of more names would hardly come twice

_NUMBERS: tuple[tuple[FeatureSpec, Callable[[OutputEvent], float | int | None]], ...] = (
    (
        FeatureSpec(
            "call.latency.total_s",
            Kind.NUMBER,
            "time until the whole output was there",
            "s",
            Worse.UP,
            role=Role.LATENCY,
            lead=0,
        ),
        lambda event: None if event.finish_reason == ABANDONED else event.latency.total_s,  # ended by its reader
    ),
    (
        FeatureSpec(
            "call.latency.first_token_s",
            Kind.NUMBER,
            "time until the first token",
            "s",
            Worse.UP,
            role=Role.LATENCY,
            lead=0,
        ),
        lambda event: event.latency.first_token_s,
    ),
    (
        FeatureSpec(
            "call.tokens.input", Kind.NUMBER, "tokens sent, as billed", "tokens", Worse.UP, role=Role.CONTEXT, lead=2
        ),
        lambda event: event.usage.input_tokens,
    ),
    (
        FeatureSpec("call.tokens.output", Kind.NUMBER, "tokens received, as billed", "tokens", role=Role.COST),
        lambda event: event.usage.output_tokens,
    ),
    (
        FeatureSpec("call.cost.usd", Kind.NUMBER, "price of the call", "USD", Worse.UP, role=Role.COST),
        lambda event: event.cost_usd,
    ),
    (
        FeatureSpec("call.steps.count", Kind.COUNT, "steps taken to the output", "steps", Worse.UP, role=Role.TOOLS),
        lambda event: len(event.steps) or None,
    ),
    (
        FeatureSpec(
            "call.context.tokens",
            Kind.NUMBER,
            "tokens of context in use, output included",
            "tokens",
            Worse.UP,
            role=Role.CONTEXT,
            lead=1,
        ),
        lambda event: _context(event),
    ),
    (
        FeatureSpec(
            "call.context.share",
            Kind.NUMBER,
            "share of the context window in use",
            worse=Worse.UP,
            role=Role.CONTEXT,
            lead=0,
        ),
        lambda event: _context_share(event),
    ),
    (
        FeatureSpec("call.session.turn", Kind.NUMBER, "turn of the conversation, from 1", "turns", role=Role.SESSION),
        lambda event: event.session.turn,
    ),
    (
        FeatureSpec(
            "call.outcome.error",
            Kind.FLAG,
            "the call ended in an error",
            worse=Worse.UP,
            failure=True,
            role=Role.ERROR,
            lead=0,
        ),
        lambda event: event.error is not None,
    ),
    (
        # an event that lists no calls made none; everything else of the calls is then missing
        FeatureSpec(
            "call.dependency.count", Kind.COUNT, "calls to external dependencies", "calls", role=Role.DEPENDENCY, lead=5
        ),
        lambda event: len(event.calls),
    ),
    (
        FeatureSpec(
            "call.dependency.errors",
            Kind.COUNT,
            "external calls that failed",
            "calls",
            Worse.UP,
            failure=True,
            role=Role.DEPENDENCY,
            lead=5,
        ),
        lambda event: sum(map(failed, event.calls)) if event.calls else None,
    ),
    (
        FeatureSpec(
            "call.dependency.duration_s",
            Kind.NUMBER,
            "time spent in external calls",
            "s",
            Worse.UP,
            role=Role.DEPENDENCY,
            lead=5,
        ),
        lambda event: _duration(event.calls),
    ),
    # What came later stands last: the order of columns is that of declaration.
    (
        FeatureSpec(
            "call.latency.queue_s", Kind.NUMBER, "time the request waited to begin", "s", Worse.UP, role=Role.LATENCY
        ),
        lambda event: event.latency.queue_s,
    ),
    (
        FeatureSpec(
            "call.outcome.fallback",
            Kind.FLAG,
            "another model or a fixed answer stood in",
            worse=Worse.UP,
            role=Role.ERROR,
        ),
        lambda event: event.fallback,
    ),
    (
        FeatureSpec(
            "call.reasoning.tokens", Kind.NUMBER, "tokens spent on reasoning, as billed", "tokens", role=Role.COST
        ),
        lambda event: event.usage.reasoning_tokens,
    ),
)

_CATEGORIES: tuple[tuple[FeatureSpec, Callable[[OutputEvent], str | None]], ...] = (
    (
        FeatureSpec("call.outcome.finish_reason", Kind.CATEGORY, "why the model stopped", role=Role.FINISH, lead=1),
        lambda event: _finish_reason(event),
    ),
    (
        FeatureSpec(
            "call.dependency.failing",
            Kind.CATEGORY,
            "external dependencies that failed, or `none`",
            role=Role.DEPENDENCY,
            lead=3,
        ),
        lambda event: (
            _names(call.dependency for call in event.calls if failed(call)) or "none" if event.calls else None
        ),
    ),
    (
        FeatureSpec(
            "call.dependency.shape",
            Kind.CATEGORY,
            "shape of each external dependency's response",
            role=Role.DEPENDENCY,
            lead=4,
        ),
        lambda event: (
            _names(f"{c.dependency[:LONGEST_NAME]}={c.shape}" for c in event.calls if c.shape) or None
            if event.calls
            else None
        ),
    ),
)


def _finish_reason(event: OutputEvent) -> str | None:
    """The reason given; `tool_call` where none is and a tool is called in place of an answer."""
    if event.finish_reason:
        return event.finish_reason[:LONGEST_NAME]
    return "tool_call" if event.output is not None and calls_tools_only(event.output, None, event.steps) else None


def _names(found: Iterable[str]) -> str:
    """Distinct names in alphabetical order, at most eight of them."""
    return ", ".join(sorted({name[: 2 * LONGEST_NAME] for name in found})[:_MOST_DEPENDENCIES])


def _context(event: OutputEvent) -> int | None:
    sent = event.usage.input_tokens
    return None if sent is None else sent + (event.usage.output_tokens or 0)


def _context_share(event: OutputEvent) -> float | None:
    used, limit = _context(event), event.usage.context_limit
    if used is None or limit is None or limit <= 0 or used > _LARGEST:
        return None
    return used / limit


def _duration(calls: Sequence[Call]) -> float | None:
    known = [call.duration_s for call in calls if call.duration_s is not None]
    return sum(known) if known else None


class CallFacts:
    """Everything an event says of the call that made the output, as columns."""

    family = "call"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = tuple(spec for spec, _ in _NUMBERS) + tuple(spec for spec, _ in _CATEGORIES)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        columns: dict[str, Column] = {spec.name: _column([read(e) for e in batch.events]) for spec, read in _NUMBERS}
        for spec, read_name in _CATEGORIES:
            columns[spec.name] = [None if name is None else clean(name) for name in map(read_name, batch.events)]
        return columns


def _column(values: Sequence[float | int | None]) -> NDArray[np.float32]:
    try:
        column = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        column = np.array([math.nan if v is None or abs(v) > _LARGEST else v for v in values], dtype=np.float64)
    column[np.abs(column) > _LARGEST] = np.nan  # what float32 cannot hold is no measurement either
    return column.astype(np.float32)
