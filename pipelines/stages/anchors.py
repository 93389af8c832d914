"""`AnchorDesk`: the anchors of the criteria whose judgments this worker reads: verdicts applied, next ones asked for.

Judgments are keyed by their stream, so all verdicts on a criterion's anchors (`~anchor/<criterion>`) are in one
partition, and its owner alone keeps the criterion's `AnchorBook`. It also asks: which anchors are due follows from the
book, and no two workers ask for the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from aiokafka.partitioner import DefaultPartitioner

from monitor.criteria.anchors import Anchor, read_anchors
from monitor.criteria.criterion import Criterion
from monitor.criteria.derived import anchor_stream
from monitor.detection import Finding
from monitor.judgment.anchor_book import AnchorBook
from monitor.judgment.records import Asked, Judgment, Purpose, Sampled, encode_record
from pipelines.kafka.ordered_buffer import Message
from pipelines.kafka.producer import Outgoing
from pipelines.kafka.topics import TopicMap
from pipelines.state.anchor_states import AnchorStates

log = logging.getLogger(__name__)


def partition_of_anchors(criterion: str, partitions: int) -> int:
    """Which partition of the judgments topic holds a criterion's anchors: the one that the judge's producer takes."""
    numbers = list(range(partitions))
    return int(DefaultPartitioner()(anchor_stream(criterion).encode(), numbers, numbers))


def requests(
    criterion: str, anchors: Sequence[Anchor], now: float, topics: TopicMap, pin: str = ""
) -> Iterator[Outgoing]:
    """Messages of `oqm.sampled` that ask for a verdict on each of these anchors, which may come several times.

    Called by the stage, and by `oqm anchors run` with the name of a new baseline as `pin`.
    """
    for number, anchor in enumerate(anchors):
        event = f"{anchor.id}@{round(now * 1000)}.{number}"
        sampled = Sampled(
            stream=anchor_stream(criterion),
            event=event,
            time=now,
            asked=(Asked(criterion=criterion),),
            output=anchor.output,
            input=anchor.input,
            prompt=anchor.prompt,
            purpose=Purpose.ANCHOR,
            anchor=anchor.id,
            pin=pin,
        )
        yield Outgoing(topics.sampled.name, key=event.encode(), value=encode_record(sampled))


class AnchorDesk:
    """Books by criterion, for the partitions that this worker owns.

    Parameters
    ----------
    criteria
        Those that have anchors; of several with one name the last counts.
    topics
        The topics as they are on the broker.
    states
        Where the books' states are kept.

    Raises
    ------
    ConfigError
        Where a file of anchors cannot be read.
    """

    def __init__(self, criteria: Iterable[Criterion], topics: TopicMap, states: AnchorStates) -> None:
        self._criteria = {criterion.name: criterion for criterion in criteria if criterion.anchors is not None}
        self._anchors: Mapping[str, Mapping[str, Anchor]] = {
            name: read_anchors(criterion.anchors or "") for name, criterion in self._criteria.items()
        }
        self._topics = topics
        self._states = states
        self._books: dict[str, AnchorBook] = {}
        self._partition = {name: partition_of_anchors(name, topics.judgments.partitions) for name in self._criteria}
        self._changed: set[str] = set()
        self._noted: set[str] = set()

    async def restore(self, partitions: Iterable[int]) -> None:
        """Own these partitions: the books in them go on from their written states."""
        owned = set(partitions)
        names = [name for name, partition in self._partition.items() if partition in owned]
        states = await self._states.restore() if names else {}
        self._changed = set()
        self._books = {
            name: AnchorBook(name, self._anchors[name], self._criteria[name].anchors_per_day, states.get(name))
            for name in names
        }

    def apply(self, judged: Sequence[tuple[Message, Judgment]]) -> list[Finding]:
        """Verdicts on anchors, in the order of the log; what they open and end."""
        findings: list[Finding] = []
        for message, judgment in judged:
            book = self._books.get(judgment.criterion)
            if book is None or message.partition != self._partition[judgment.criterion]:
                self._note(judgment.criterion, message.partition)
                continue
            findings += book.apply(judgment, message.offset)
            self._changed.add(judgment.criterion)
        return findings

    def _note(self, criterion: str, partition: int) -> None:
        if criterion in self._noted:
            return
        self._noted.add(criterion)
        expected = self._partition.get(criterion)
        why = "the settings name no anchors for it" if expected is None else f"they belong to partition {expected}"
        log.warning("verdicts on anchors of %s in partition %d are not used: %s", criterion, partition, why)

    def requests(self, now: float) -> list[Outgoing]:
        """What asks for the anchors that are due now."""
        asked: list[Outgoing] = []
        for name, book in self._books.items():
            if due := book.due(now):
                asked += requests(name, [self._anchors[name][one] for one in due], now, self._topics)
                self._changed.add(name)
        return asked

    async def write(self) -> None:
        """Make durable what changed."""
        changed, self._changed = self._changed, set()
        if changed:
            await self._states.write({name: self._books[name].state for name in sorted(changed) if name in self._books})
