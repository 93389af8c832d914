"""Feature rows and judgments as messages of the log, for tests of what the store counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from monitor.detection.records.log_format import encode
from monitor.features.batch import FeatureBatch
from monitor.judgment.records import Judgment, SourcePlace, encode_record
from monitor.settings.topics import Topics
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming
from pipelines.kafka.topics import TopicFacts, TopicMap
from pipelines.store.rows import RowMaker

TOPICS = TopicMap(
    *(TopicFacts(part.name, f"id-{part.name}", 4) for part in (getattr(Topics(), n) for n in Topics().parts))
)
NOON = 20_000 * 86_400.0 + 43_200.0


@dataclass
class Message:
    """A record of the log."""

    partition: int
    offset: int
    value: bytes
    timestamp: int
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = None


def output_rows(
    numbers: Sequence[int],
    stream: str = "support",
    *,
    strata: Sequence[str | None] | None = None,
    short: Sequence[float] | None = None,
    languages: Sequence[str | None] | None = None,
    time: float = NOON,
    tenant: str | None = None,
) -> FeatureBatch:
    """One row for each number, which is its offset in partition 0 and names its event; `short` is a check."""
    n = len(numbers)
    check = [np.nan] * n if short is None else short
    return FeatureBatch(
        names=("input.length.tokens", "output.check.short"),
        values=np.array([[20.0, value] for value in check], dtype=np.float32).reshape(n, 2),
        streams=[stream] * n,
        ids=[f"e{number}" for number in numbers],
        times=np.full(n, time),
        digests=np.asarray(numbers, dtype=np.uint64),
        source=TOPICS.outputs.id,
        source_partitions=np.zeros(n, dtype=np.int32),
        source_offsets=np.asarray(numbers, dtype=np.int64),
        segments=[{"model.name": "m", "model.version": "7"} | ({"attributes.tenant": tenant} if tenant else {})] * n,
        input_excerpts=[""] * n,
        output_excerpts=[""] * n,
        categories={"input.language.code": list(languages) if languages else ["en"] * n},
        strata=list(strata) if strata is not None else ["uniform"] * n,
    )


def judgment(number: int, passed: bool | None = True, **given: Any) -> Judgment:
    """A verdict on the output with this number."""
    known: dict[str, Any] = {
        "stream": "support",
        "event": f"e{number}",
        "time": NOON,
        "criterion": "helpful",
        "place": SourcePlace(TOPICS.outputs.id, 0, number),
        "probability": 0.5,
        "rules": ("uniform",),
        "by_uniform": True,
        "slices": {"language": "en", "length": "medium"},
        "segments": {"model.name": "m", "model.version": "7"},
        "passed": passed,
        "missing": None if passed is not None else "timeout",
        "rationale": "It answers.",
        "evaluator": "main",
        "identity": "a1",
        "judged_at": NOON + 60,
    }
    return Judgment(**(known | given))


class Log:
    """The topics of features and judgments; each message gets the next offset of its topic."""

    def __init__(self, at: float = NOON + 120) -> None:
        self.at = at
        self.messages: list[tuple[str, Message]] = []

    def append(self, record: FeatureBatch | Judgment | bytes, at: float | None = None) -> None:
        """One record, with Kafka's time `at`."""
        at = self.at if at is None else at
        features = isinstance(record, FeatureBatch)
        topic = TOPICS.features.name if features else TOPICS.judgments.name
        if isinstance(record, Judgment):
            record = encode_record(record)
        values = [record] if isinstance(record, bytes) else encode(record)
        for value in values:
            offset = sum(name == topic for name, _ in self.messages)
            self.messages.append((topic, Message(0, offset, value, int(at * 1000))))

    def rows(self, start: int = 0, stop: int | None = None, **given: Any) -> Incoming:
        """What the messages from `start` to `stop` write."""
        maker = RowMaker(TOPICS, given.pop("privacy", Privacy()), **given)
        return maker.rows(self.messages[start:stop])


def dumped(value: Any) -> Any:
    """A record as plain data."""
    return msgspec.to_builtins(value)
