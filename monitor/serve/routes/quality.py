"""`GET /v1/quality`: which share of the outputs passes each criterion, as `oqm quality` says it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.config_values.durations import parse_duration
from monitor.errors import InvalidEvent
from monitor.events.times import moment_of
from monitor.judgment.quality import Quality
from monitor.judgment.slices import CLASSES, Slice
from monitor.ledger.labels import labels
from monitor.serve.context import Context
from monitor.serve.problem import Problem
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope
from monitor.store.estimating import default_window, estimates
from monitor.store.periods import HOUR_S
from monitor.store.quality import Window

UNKNOWN = "unknown"
"""An empty value, as `oqm quality` writes it: of an output that does not say its model."""


class QualityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which estimates.

    `stream` is a name or a pattern with `*`; `segment` (model, prompt, or the attribute of store.segment) and `slice`
    (language, length, noise, mixed) break down by NAME, or narrow with NAME=VALUE, and may be repeated; `since` is a
    time or a span (2h, 7d), 7 days by default; `one_look` asks for intervals that hold at this look alone.
    """

    stream: str | None = None
    criterion: str | None = None
    segment: list[str] = []
    slice: list[str] = []
    since: Annotated[str, Meta(max_length=64)] | None = None
    one_look: bool = False


class QualityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Estimates; `rate` is null where nothing was judged: nobody can tell."""

    estimates: list[Quality]


def quality(ctx: Context, _: None) -> Answer:
    """The estimates that the query asks for."""
    query: QualityQuery = ctx.query
    window = _window(ctx, query)

    def judged(stream: str) -> list[str]:
        return [criterion.name for criterion in ctx.settings.criteria_of(stream) if criterion.judged]

    people = labels(
        ctx.ledger, *window.period, stream=window.stream, criterion=window.criterion, where=window.where, by=window.by
    )
    with ctx.traces.reading() as store:
        found = estimates(store, window, judged, always_valid=not query.one_look, labels=people)
    return Answer(200, QualityAnswer(estimates=[_readable(one, ctx.settings.store.segment) for one in found]))


def _window(ctx: Context, query: QualityQuery) -> Window:
    window = default_window(ctx.now)
    if query.since is not None:
        window = msgspec.structs.replace(window, since=int(_since(query.since, ctx.now) // HOUR_S))
    chosen = ctx.settings.store.segment
    segments = {"model": "model", "prompt": "prompt", **({chosen: "segment"} if chosen else {})}
    where: dict[str, str] = {}
    by: list[str] = []
    for parameter, asked, columns in (
        ("segment", query.segment, segments),
        ("slice", query.slice, {name.value: name.value for name in Slice}),
    ):
        for text in asked:
            name, narrowed, value = text.partition("=")
            if name not in columns:
                raise _wrong(f"{parameter}: {name!r} must be one of {', '.join(columns)}.")
            column = columns[name]
            if column in where or column in by:
                raise _wrong(f"{parameter}: {name} is given twice.")
            if not narrowed:
                by.append(column)
                continue
            classes = CLASSES.get(Slice(name)) if parameter == "slice" else None
            if not value or (classes is not None and value not in (*classes, UNKNOWN)):
                there = f"one of {', '.join((*classes, UNKNOWN))}" if classes else "a value"
                raise _wrong(f"{parameter}: {name} needs {there} behind the =.")
            where[column] = "" if value == UNKNOWN else value
    return msgspec.structs.replace(window, stream=query.stream, criterion=query.criterion, where=where, by=tuple(by))


def _since(text: str, now: float) -> float:
    try:
        is_span = text[:1].isdecimal() and text[-1:] in "smhdw"
        start = now - parse_duration(text) if is_span else moment_of(text).seconds
    except (ValueError, InvalidEvent):
        raise _wrong("since: must be a time (2026-11-30T13:00:00Z, seconds since 1970) or a span (2h, 7d).") from None
    if not 0 <= start <= now:
        raise _wrong("since: must lie between 1970 and now.")
    return start


def _wrong(detail: str) -> Problem:
    return Problem(422, "invalid-query", detail)


def _readable(one: Quality, segment: str | None) -> Quality:
    """The estimate with the segment under its own name."""
    by = {(segment or name) if name == "segment" else name: value or UNKNOWN for name, value in one.by.items()}
    return msgspec.structs.replace(one, by=by)


ROUTES = (
    Route(
        method="GET",
        path="/v1/quality",
        scope=Scope.READ,
        summary="Which share of the outputs passes each criterion",
        handler=quality,
        query=QualityQuery,
        responses={200: QualityAnswer},
    ),
)
