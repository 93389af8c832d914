"""`read_in_order`: the events of files, each stream's in the order of its times, whatever the order of rows and files.

Files are read twice. The first time only streams and times are kept: they say in which order events come, and which
times cannot be right. The second time events are read in that order; what is kept in memory is what comes too early in
its file, so nothing where a file is in order.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.notes import FileNotes
from monitor.events.files.reader import read_events
from monitor.events.schema import OutputEvent
from monitor.events.times import EARLIEST, LATEST, text_of

_MOST_NAMED = 5
"""Streams that are named one by one where several have the same trouble; of more, the number is said."""
_OUTLIERS = 0.01
"""At most this share of a stream's times, at either end, may be set aside as lying far from the rest."""
_FAR = 20.0
"""How far: in multiples of the time that the rest spans, and at least the following."""
_LEAST_BEFORE_S = 86_400.0
"""Before the others. A test call of days before is set aside with it, which changes nothing but the volume learned."""
_LEAST_AFTER_S = 180 * 86_400.0
"""Behind the others, where a shorter pause may be an outage, which is to be found."""
_FEWEST = 10
"""Times below which none of them can be said to lie far from the rest."""


def read_in_order(
    paths: Sequence[Path],
    mapping: Mapping[str, str] | None = None,
    stream: str | None = None,
    *,
    limit: int | None = None,
    notes: FileNotes | None = None,
) -> Iterator[OutputEvent | InvalidEvent]:
    """The records of all files: events merged by their times, what is no event where it is met.

    Rows of a stream come in the order of their times; rows without a time stay behind the row that they follow in their
    file; of equal times the order of files and lines decides. A time that cannot be right is taken as missing.

    Parameters
    ----------
    paths
        Files as for `read_events`, which says what they may be; `mapping` and `stream` too.
    limit
        At most this number of records, in the order of the files.
    notes
        Takes what was understood of the files.

    Raises
    ------
    ConfigError
        Where a file or the mapping cannot be used at all.
    """
    notes = FileNotes() if notes is None else notes
    sources: list[_Source] = []
    left = limit
    names: dict[str, int] = {}
    for path in paths:
        source = _Source(path, mapping, stream, notes)
        if left == 0:
            break
        left = source.survey(names, left)
        if source.records:
            sources.append(source)
    if sources:
        yield from _merged(sources, list(names), notes)


@dataclass
class _Source:
    """One file: what its first reading showed, and its second reading."""

    path: Path
    mapping: Mapping[str, str] | None
    stream: str | None
    notes: FileNotes
    times: array[float] = field(default_factory=lambda: array("d"))
    """Of each event; NaN where it has none."""
    codes: array[int] = field(default_factory=lambda: array("q"))
    """Of each event's stream."""
    records: int = 0

    def survey(self, names: dict[str, int], limit: int | None) -> int | None:
        """First reading; `names` gets the streams. Returns what is left of the limit."""
        for record in islice(read_events(self.path, self.mapping, self.stream), limit):
            self.records += 1
            if isinstance(record, OutputEvent):
                self.times.append(math.nan if record.time is None else record.time)
                self.codes.append(names.setdefault(record.stream, len(names)))
        self._whole = limit is None or self.records < limit
        self._ahead: dict[int, OutputEvent] = {}
        self._read = 0
        self._again: Iterator[OutputEvent | InvalidEvent] | None = None
        return None if limit is None else limit - self.records

    def up_to(self, number: int) -> Iterator[OutputEvent | InvalidEvent]:
        """Second reading, up to the event of this number, which comes last; and what is no event on the way."""
        if self._again is None:
            records = read_events(self.path, self.mapping, self.stream, self.notes)
            self._file, self._again = records, islice(records, self.records)
        early = self._ahead.pop(number, None)
        if early is not None:
            yield early
            return
        for record in self._again:
            if isinstance(record, InvalidEvent):
                yield record
                continue
            self._read += 1
            if self._read - 1 == number:
                yield record
                return
            self._ahead[self._read - 1] = record

    def rest(self) -> Iterator[InvalidEvent]:
        """What is no event behind the last event of the file, or in a file without any; then the file has ended."""
        for record in self.up_to(-1):
            if isinstance(record, InvalidEvent):
                yield record
        if self._whole:
            next(self._file, None)  # what can be said of the whole file is noted at its end


def _merged(sources: Sequence[_Source], names: Sequence[str], notes: FileNotes) -> Iterator[OutputEvent | InvalidEvent]:
    times = np.concatenate([np.frombuffer(source.times, dtype=np.float64) for source in sources])
    codes = np.concatenate([np.frombuffer(source.codes, dtype=np.int64) for source in sources])
    counts = [len(source.times) for source in sources]
    owner = np.repeat(np.arange(len(sources)), counts)
    number = np.concatenate([np.arange(count) for count in counts])
    where = ", ".join(source.path.name for source in sources) if len(sources) <= 3 else f"{len(sources)} files"
    wrong = _implausible(times, codes, names, notes, where)
    times[wrong] = np.nan
    when = _filled(times, codes, owner)
    _say_unsorted(when, codes, names, notes, where)
    rank = _ranks(codes, owner, names, len(sources))
    for place in np.lexsort((number, rank[owner], when)).tolist():
        event = None
        for event in sources[owner[place]].up_to(int(number[place])):
            if isinstance(event, InvalidEvent):
                yield event
        if not isinstance(event, OutputEvent):
            raise ConfigError(f"{sources[owner[place]].path}: has changed while it was read; give a copy")
        if wrong[place]:
            event.time = None
        yield event
    for source in sources:
        yield from source.rest()


def _filled(times: NDArray[np.float64], codes: NDArray[np.int64], owner: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where in time each row comes: where it has no time, where the row before it of its stream and file came.

    The first rows of a stream in a file come with the first that has a time; those of a stream without any, with the
    row before them in the file.
    """
    filled = times.copy()
    last: dict[tuple[int, int], float] = {}
    waiting: dict[tuple[int, int], list[int]] = {}
    for place, (time, code, file) in enumerate(zip(times.tolist(), codes.tolist(), owner.tolist(), strict=True)):
        key = code, file
        if math.isfinite(time):
            last[key] = time
            for early in waiting.pop(key, ()):
                filled[early] = time
        elif key in last:
            filled[place] = last[key]
        else:
            waiting.setdefault(key, []).append(place)
    rest = sorted(place for places in waiting.values() for place in places)
    for place in rest:
        before = place > 0 and owner[place - 1] == owner[place]
        filled[place] = filled[place - 1] if before else -math.inf
    return filled


def _ranks(codes: NDArray[np.int64], owner: NDArray[np.intp], names: Sequence[str], files: int) -> NDArray[np.intp]:
    """The files' order where times are equal or missing: as given among files that share a stream, else by stream.

    So the order in which files of different streams are given changes nothing.
    """
    group = list(range(files))

    def find(file: int) -> int:
        while group[file] != file:
            file = group[file]
        return file

    first: dict[int, int] = {}
    smallest = [""] * files
    for file, code in dict.fromkeys(zip(owner.tolist(), codes.tolist(), strict=True)):
        other = find(first.setdefault(code, file))
        group[max(other, find(file))] = min(other, find(file))
    for file, code in dict.fromkeys(zip(owner.tolist(), codes.tolist(), strict=True)):
        root = find(file)
        smallest[root] = min(smallest[root] or names[code], names[code])
    ordered = sorted(range(files), key=lambda file: (smallest[find(file)], file))
    ranks = np.empty(files, dtype=np.intp)
    ranks[ordered] = np.arange(files)
    return ranks


# --- times that cannot be right ---------------------------------------------------------------------------------


def _implausible(
    times: NDArray[np.float64], codes: NDArray[np.int64], names: Sequence[str], notes: FileNotes, where: str
) -> NDArray[np.bool_]:
    wrong = np.zeros(len(times), dtype=np.bool_)
    for code, places in _of_streams(codes, len(names)):
        own = implausible(times[places])
        if own.any():
            wrong[places[own]] = True
            example = text_of(float(times[places[own][0]]))
            notes.add(
                where,
                f"stream {names[code]!r} has times that cannot be right, which are taken as missing",
                int(own.sum()),
                example,
            )
        known = times[places[~own]]
        known = known[np.isfinite(known)]
        if len(known) and known.max() < EARLIEST:
            notes.add(
                where,
                f"the times of stream {names[code]!r} lie in {text_of(float(known[0]))[:4]}, and are taken as they "
                "are; give seconds since 1970 or 2026-01-31T12:00:00Z where that is not so",
            )
    return wrong


def implausible(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of a stream's times (n, seconds since 1970, NaN where missing) cannot be right.

    Those before 1970 or after 2099; those before 1990, where zeros and defaults of dates lie, unless all lie there; and
    a few at either end that lie far from all others: further than 20 times what the others span, and than a day before
    them or half a year behind.
    """
    present = np.isfinite(times)
    wrong = present & ((times < 0) | (times >= LATEST))
    if (present & ~wrong & (times >= EARLIEST)).any():
        wrong |= present & (times < EARLIEST)
    good = np.sort(times[present & ~wrong])
    if len(good) >= _FEWEST:
        few = max(1, int(_OUTLIERS * len(good)))
        far = _FAR * float(good[-1 - few] - good[few])
        gaps = np.diff(good)
        low = np.flatnonzero(gaps[:few] > max(far, _LEAST_BEFORE_S))
        high = np.flatnonzero(gaps[-few:] > max(far, _LEAST_AFTER_S))
        if len(low):
            wrong |= present & (times <= good[low[-1]])
        if len(high):
            wrong |= present & (times >= good[len(good) - few + high[0]])
    return wrong


def _say_unsorted(
    when: NDArray[np.float64], codes: NDArray[np.int64], names: Sequence[str], notes: FileNotes, where: str
) -> None:
    late: dict[str, int] = {}
    for code, places in _of_streams(codes, len(names)):
        own = when[places]
        count = int((own < np.maximum.accumulate(own)).sum()) if len(own) else 0
        if count:
            late[names[code]] = count
    if len(late) > _MOST_NAMED:
        notes.add(where, f"the rows of {len(late)} streams were sorted by their times", sum(late.values()))
        return
    for name, count in late.items():
        notes.add(where, f"the rows of stream {name!r} were sorted by their times; out of order were", count)


def _of_streams(codes: NDArray[np.int64], streams: int) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each stream's code and the places of its rows, in order."""
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(streams + 1))
    for code in range(streams):
        yield code, order[ends[code] : ends[code + 1]]
