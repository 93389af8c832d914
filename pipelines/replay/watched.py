"""How much a replay watched, in one line: without it "no findings" would be no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.detection import StreamMonitor
    from monitor.detection.stream.failed_stream import FailedStream

_MAX_NAMED = 3
"""Streams without a judgement that the line names; of the others it gives the number."""


@dataclass(frozen=True, slots=True)
class Watched:
    """How much of one stream was watched.

    Attributes
    ----------
    events
        Applied, once each.
    judged_from
        Index, from 0, of the first one that was judged; None where none was.
    learns_from
        How many events the reference is learned from.
    duplicates
        Events that came again, which are not applied.
    failed
        Whether judging it failed on the way, so that its events were not judged to the end.
    """

    stream: str
    events: int
    judged_from: int | None
    learns_from: int
    duplicates: int = 0
    failed: bool = False


def watched_streams(monitors: Mapping[str, StreamMonitor | FailedStream]) -> list[Watched]:
    """What these monitors watched; streams that no event was of are left out."""
    from monitor.detection.stream.failed_stream import FailedStream

    found = [
        Watched(name, own.events, None, own.settings.warmup, failed=True)
        if isinstance(own, FailedStream)
        else Watched(name, own.events, own.judged_from, own.settings.warmup, own.status().duplicates)
        for name, own in monitors.items()
    ]
    return [one for one in found if one.events or one.duplicates]


def nothing_judged(watched: Iterable[Watched]) -> bool:
    """Whether not one event was judged."""
    return all(one.judged_from is None for one in watched)


def watched_line(watched: Sequence[Watched], found: Mapping[str, int], skipped: int, repeated: int = 0) -> str:
    """`3,000 events in 1 stream, judged from event 401 on: no findings`.

    Parameters
    ----------
    watched
        One for each stream.
    found
        Findings by their state (`firing`, `resolved`, `info`).
    skipped
        Rows of files that were no events.
    repeated
        Events that came again and were dropped before they reached a monitor.
    """
    events = sum(one.events for one in watched)
    duplicates = repeated + sum(one.duplicates for one in watched)
    aside = [_count(skipped, "row") + " skipped"] if skipped else []
    aside += [_count(duplicates, "duplicate")] if duplicates else []
    line = f"{_count(events, 'event')} in {_count(len(watched), 'stream')}"
    if aside:
        line += f" ({', '.join(aside)})"
    judged = [one for one in watched if one.judged_from is not None and not one.failed]
    waiting = [one for one in watched if one.judged_from is None and not one.failed]
    failed = [one.stream for one in watched if one.failed]
    if not watched:
        return f"{line}: nothing could be judged"
    behind = []
    if judged:
        starts = sorted({one.judged_from + 1 for one in judged if one.judged_from is not None})
        where = f"from event {starts[0]:,} on" if len(starts) == 1 else f"from event {starts[0]:,} to {starts[-1]:,} on"
        some = f"{len(judged):,} " if len(judged) < len(watched) else ""
        line += f", {some}judged {where}: {_findings(found)}"
        behind += [f"{len(waiting):,} not judged yet ({_learning(waiting)})"] if waiting else []
    else:
        line += ": cannot tell whether anything changed"
        if waiting:
            line += f", since judging begins behind the events that a stream learns from ({_learning(waiting)})"
        behind += [_findings(found)] if any(found.values()) else []
    if failed:
        behind.append(f"{len(failed):,} not judged to the end ({_named(failed)})")
    return "; ".join([line, *behind])


def _learning(waiting: Sequence[Watched]) -> str:
    """How far these streams are with learning, those with the most events first."""
    ordered = sorted(waiting, key=lambda one: (-one.events, one.stream))
    return _named([f"{one.stream} has {one.events:,} of {one.learns_from:,}" for one in ordered])


def _named(what: Sequence[str]) -> str:
    more = len(what) - _MAX_NAMED
    return ", ".join([*what[:_MAX_NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def _findings(found: Mapping[str, int]) -> str:
    total = sum(found.values())
    if not total:
        return "no findings"
    states = ", ".join(f"{count:,} {state}" for state, count in found.items() if count)
    return f"{_count(total, 'finding')} ({states})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
