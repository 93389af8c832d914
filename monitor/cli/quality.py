"""`oqm quality`: which share of the outputs passes each criterion, with interval, number and who says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from monitor.alerting.rendering.moments import moment
from monitor.cli.moments import parse_moment
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.cli.people_labels import people_labels
from monitor.cli.quality_table import print_estimates
from monitor.cli.store_option import StoreOption, opened
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.judgment.quality import Quality
    from monitor.settings import Settings
    from monitor.store.base import TraceStore
    from monitor.store.quality import Window

EXIT_NONE = 1
MOST_VALUES = 20  # of a dimension that are listed where the one asked for is not there
UNKNOWN = "unknown"
"""How an empty value is written: of an output that does not say its model, or whose input is not kept."""


def command(
    stream: Annotated[
        str | None, typer.Option("--stream", metavar="GLOB", help="Name of the stream, or a pattern.")
    ] = None,
    criterion: Annotated[str | None, typer.Option("--criterion", metavar="NAME", help="Only this criterion.")] = None,
    segment: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="NAME[=VALUE]",
            help="Break down by model, prompt, or the attribute that store.segment names; with a value only that one. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    slice_: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="NAME[=VALUE]",
            help="Break down by a class of the input: language, length, noise or mixed (several scripts); with a value "
            "only that one. Repeatable.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Outputs from that hour on: 13:00 (UTC), 2h, 2026-11-30; without it the last 7 days.",
        ),
    ] = None,
    one_look: Annotated[
        bool,
        typer.Option(
            "--one-look",
            help="Narrower intervals, for a report that is made once. Looked at again and again they are wrong too "
            "often.",
        ),
    ] = False,
    json: AsJson = False,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Show which share of the outputs passes each criterion, with its interval and how many were judged.

    Verdicts of an evaluation model come from a sample; the rate is that of all outputs. Where people labelled some of
    them (`oqm review`), the rate by their labels alone and by both stand below. Checks by a program are counts of every
    output. Where nothing was judged the answer is "cannot tell". Exit code 1: nothing is counted.
    """
    from monitor.settings import load_settings
    from monitor.store.estimating import estimates

    settings = load_settings(config)
    window = _window(settings, stream, criterion, segment, slice_, since)
    traces = opened(settings, store)
    try:
        labels = people_labels(settings, store, window)
        found = estimates(traces, window, _judged(settings), always_valid=not one_look, labels=labels)
        _refuse_unknown(criterion, found, settings, lambda: _names(estimates(traces, _wide(window))))
        values = _values(traces, window) if window.where and not found else {}
    finally:
        traces.close()
    found = [_readable(one, settings) for one in found]
    if json:
        for one in found:
            print_json(one)
    elif found:
        print_estimates(tables(), found)
    if not found:
        notes().print(_nothing(window, values), markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_NONE)


def _values(traces: TraceStore, window: Window) -> dict[str, list[str]]:
    """The values that there are of each dimension that was narrowed."""
    found: dict[str, list[str]] = {}
    for name in window.where:
        wide = msgspec.structs.replace(window, where={}, by=(name,))
        counted = traces.quality(wide)
        groups = {group for _, group in counted.outputs} | {group for _, _, group in counted.checks}
        if groups:
            found[name] = sorted(group[0] or UNKNOWN for group in groups)[:MOST_VALUES]
    return found


def _nothing(window: Window, values: Mapping[str, Sequence[str]]) -> str:
    from monitor.alerting.rendering.terminal_text import plain

    of = f" of streams named {window.stream}" if window.stream else ""
    narrowed = "".join(f", {name} {value or UNKNOWN}" for name, value in window.where.items())
    counted = f"the trace store has counted no outputs{of}{narrowed} since {moment(window.period[0])}"
    if values:
        there = "; ".join(f"{name} {', '.join(map(plain, known))}" for name, known in values.items())
        return f"{counted}; there are {there}"
    return f"{counted}: is there a criterion for them, and a worker with the role store?"


def _window(
    settings: Settings,
    stream: str | None,
    criterion: str | None,
    segments: Sequence[str] | None,
    slices: Sequence[str] | None,
    since: str | None,
) -> Window:
    from monitor.store.estimating import default_window
    from monitor.store.periods import HOUR_S

    now = time.time()
    window = default_window(now)
    if since is not None:
        start = parse_moment(since, now, "--since")
        if start > now:
            raise ConfigError(f"--since {since}: lies in the future")
        window = msgspec.structs.replace(window, since=int(start // HOUR_S))
    where: dict[str, str] = {}
    by: list[str] = []
    wanted = [("--segment", text, _segment_column(settings)) for text in segments or ()]
    wanted += [("--slice", text, _slice_column) for text in slices or ()]
    for option, text, column_of in wanted:
        name, given, value = text.partition("=")
        if given and not value:
            raise ConfigError(f"{option} {text}: needs a value behind the =, or no =")
        column = column_of(name, value if given else None)
        if column in where or column in by:
            raise ConfigError(f"{option} {name}: given twice")
        if given:
            where[column] = "" if value == UNKNOWN else value
        else:
            by.append(column)
    return msgspec.structs.replace(window, stream=stream, criterion=criterion, where=where, by=tuple(by))


def _segment_column(settings: Settings) -> Callable[[str, str | None], str]:
    chosen = settings.store.segment

    def column(name: str, _: str | None) -> str:
        known = {"model": "model", "prompt": "prompt", **({chosen: "segment"} if chosen else {})}
        if name not in known:
            more = "" if chosen else "; an attribute is counted by once store.segment of the settings names it"
            raise ConfigError(f"--segment {name or '(empty)'}: must be one of {', '.join(known)}{more}")
        return known[name]

    return column


def _slice_column(name: str, value: str | None) -> str:
    from monitor.judgment.slices import CLASSES, Slice

    if name not in list(Slice):
        raise ConfigError(f"--slice {name or '(empty)'}: must be one of {', '.join(Slice)}")
    classes = CLASSES.get(Slice(name))
    if value is not None and classes is not None and value not in (*classes, UNKNOWN):
        raise ConfigError(f"--slice {name}={value}: must be one of {', '.join(classes)}, {UNKNOWN}")
    return name


def _judged(settings: Settings) -> Callable[[str], list[str]]:
    return lambda stream: [criterion.name for criterion in settings.criteria_of(stream) if criterion.judged]


def _wide(window: Window) -> Window:
    return msgspec.structs.replace(window, criterion=None, by=(), where={})


def _names(found: Sequence[Quality]) -> set[str]:
    return {one.criterion for one in found}


def _refuse_unknown(
    criterion: str | None, found: Sequence[Quality], settings: Settings, others: Callable[[], set[str]]
) -> None:
    """Raises `ConfigError` where neither the settings nor the store know the criterion."""
    if criterion is None or found or any(one.name == criterion for one in settings.criteria):
        return
    known = sorted({one.name for one in settings.criteria} | others())
    raise ConfigError(
        f"--criterion {criterion}: no such criterion; "
        + (f"there are {', '.join(known)}" if known else "there are none")
    )


def _readable(one: Quality, settings: Settings) -> Quality:
    """With the names of dimensions and values as people ask for them."""
    chosen = settings.store.segment or "segment"
    by = {chosen if name == "segment" else name: value or UNKNOWN for name, value in one.by.items()}
    return msgspec.structs.replace(one, by=by)
