from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.events.schema import OutputEvent
from monitor.features.base import Extractor
from monitor.features.text.words import EventBatch, table_for


def columns_of(
    extractor: Extractor, outputs: Sequence[str | None], inputs: Sequence[str | None] | None = None
) -> Mapping[str, Any]:
    """An extractor's columns for these texts."""
    asked = [None] * len(outputs) if inputs is None else inputs
    events = [OutputEvent(stream="s", output=o, input=i) for o, i in zip(outputs, asked, strict=True)]
    return extractor.extract(EventBatch(events, table_for([extractor])))
