"""`oqm`, with a worker that can be made to hang: everything else in it is the real one.

    python -m tests.faults.hanging worker ...

An event whose output is `HANG` blocks the thread that computes; `SPIN` keeps the interpreter to itself, as a regular
expression that never ends does. SIGUSR1 blocks the event loop; SIGUSR2 ends the task that fetches from Kafka.
"""

from __future__ import annotations

import gc
import re
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

from monitor.cli import main
from monitor.features import registry
from monitor.features.base import Column, Extractor, FeatureSpec
from monitor.features.text.words import EventBatch


class Hanging:
    """A family without features."""

    family = "hanging"
    features: tuple[FeatureSpec, ...] = ()
    word_columns: Mapping[str, Callable[[str], float]] = {}

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        outputs = {event.output for event in batch.events}
        if "HANG" in outputs:
            threading.Event().wait()
        if "SPIN" in outputs:
            re.match(r"(a+)+$", "a" * 64 + "b")
        return {}


def _block(*_: Any) -> None:
    threading.Event().wait()  # signals are handled in the main thread, where the event loop runs


def _end_fetching(*_: Any) -> None:
    for found in gc.get_objects():
        if isinstance(found, Fetcher):
            task = found._fetch_task
            task.get_loop().call_soon_threadsafe(task.cancel)


if __name__ == "__main__":
    extractors: Callable[..., tuple[Extractor, ...]] = registry.default_extractors
    registry.default_extractors = lambda *arguments: (*extractors(*arguments), Hanging())
    signal.signal(signal.SIGUSR1, _block)
    signal.signal(signal.SIGUSR2, _end_fetching)
    main()
