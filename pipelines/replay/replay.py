"""The path without a broker: events in, findings out, by the same code as in the worker.

`oqm replay` and tests use it. `pass_over` is the same for a log that exists: what detect concludes is a function of
`oqm.features`, so a pass over that log gives the findings that the workers gave, whatever happened to them meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count

import numpy as np

from monitor.detection import Finding, PartitionMonitor
from monitor.detection.records.log_format import Tick
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for, partition_monitor
from pipelines.feature_log.apply import LogRecord, apply, contents
from pipelines.feature_log.ticks import EventTimeTicks

SOURCE = "replay"
"""Source of a replay's rows, for the fence."""


def replay(
    events: Iterable[OutputEvent],
    settings: Settings,
    *,
    featurizer: Featurizer | None = None,
    monitor: PartitionMonitor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Finding]:
    """Findings in these events, as they are found; time is the events' own, blocks still open at the end are judged.

    Parameters
    ----------
    events
        With id filled in, in the order to be judged.
    featurizer, monitor
        Made from the settings where None; a caller that wants the streams' statuses afterwards passes its `monitor`,
        whose `failed` then says which streams could not be judged, and why.
    progress
        Called with the number of events done, after each micro-batch.
    """
    featurizer = featurizer or featurizer_for(settings)
    monitor = monitor or partition_monitor(settings, featurizer.specs)
    offset = count()
    done = 0
    for parts in measured(events, settings, featurizer):
        for part in parts:
            yield from apply(monitor, part, next(offset))
            done += len(part) if isinstance(part, FeatureBatch) else 0
        if progress is not None:
            progress(done)
    yield from monitor.close()


def measured(
    events: Iterable[OutputEvent], settings: Settings, featurizer: Featurizer
) -> Iterator[list[FeatureBatch | Tick]]:
    """These events as the log would hold them: the rows of each micro-batch, with the ticks that fall between them."""
    ticks = EventTimeTicks()
    done = 0
    for chunk in _chunks(events, settings.worker.featurize_batch):
        offsets = np.arange(done, done + len(chunk), dtype=np.int64)
        partitions = np.zeros(len(chunk), dtype=np.int32)
        batch = featurizer.featurize(chunk, source=SOURCE, partitions=partitions, offsets=offsets)
        yield list(ticks.interleave(batch))
        done += len(chunk)


def _chunks(events: Iterable[OutputEvent], size: int) -> Iterator[list[OutputEvent]]:
    chunk: list[OutputEvent] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def pass_over(log: Iterable[LogRecord], monitor: PartitionMonitor, stream: str | None = None) -> Iterator[Finding]:
    """Findings in one detect partition of an existing log, in order, or in what it holds of one stream.

    Foreign messages are skipped as the worker does. Raises `StateError` for a log of another format version.
    """
    for offset, content in contents(log, stream):
        yield from apply(monitor, content, offset)
