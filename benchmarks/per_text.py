"""What measuring a text costs, beside other libraries' descriptors on the same texts in the same run; no Kafka."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks import outside
from monitor.events.schema import OutputEvent
from monitor.features.registry import build_featurizer

BATCH = 1_024
LANGKIT_PER_CORE = 2_335 / 4
"""Texts a second and core of LangKit's light metrics as WhyLabs published it: 2,335 chats a second on 4 vCPU."""


def ours(texts: Sequence[str], warm: Sequence[str]) -> tuple[float, int]:
    """CPU microseconds a text, and how many features that is; `warm` are texts that the featurizer has seen before."""
    featurizer = build_featurizer()

    def measure(part: Sequence[str]) -> None:
        events = [OutputEvent(stream="s", id=str(number), output=text) for number, text in enumerate(part)]
        for start in range(0, len(events), BATCH):
            featurizer.featurize(events[start : start + BATCH], source="texts", partitions=None, offsets=None)

    measure(warm)
    began = time.process_time()
    measure(texts)
    spent = time.process_time() - began
    return 1e6 * spent / len(texts), len(featurizer.specs)


def beside(texts: Sequence[str]) -> list[tuple[str, float | None]]:
    """Name and CPU microseconds a text of each other library; None where its environment is not made."""
    rows: list[tuple[str, float | None]] = []
    for name, script, label in (
        ("evidently", "outside_descriptors.py", "Evidently, {} descriptors"),
        ("textstat", "outside_textstat.py", "textstat, {} functions text by text"),
    ):
        if outside.python_of(name).exists():
            answer = outside.ask_of_texts(name, script, texts)
            rows.append((label.format(len(answer["names"])), answer["us"]))
        else:
            rows.append((f"{name}: `python -m benchmarks.outside` makes its environment", None))
    return rows
