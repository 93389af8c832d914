"""What checks of outputs cost an event, measured alone: five checks together, each by itself, and by hand as one would.

    python -m benchmarks.checks [--events 20000]

`alone` is the CPU time of `CheckFamily.extract` on events whose features are measured already, the best of some passes
over micro-batches of 1,024; what it needs of the batch (texts, languages) is given to it as the featurizer gives it.
`by hand` is the same decision in plain Python for one event at a time: `json.loads` in each check that reads JSON,
`re`, `str.casefold`. No Kafka. The bar is 15 us an event for the five checks of `FIVE`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from monitor.criteria.criterion import Criterion
from monitor.criteria.family import CheckFamily
from monitor.events.schema import OutputEvent
from monitor.features.base import Column
from monitor.features.registry import build_featurizer
from monitor.features.text.words import EventBatch, table_for

BATCH = 1_024
PASSES = 7
"""Of which the best counts: others share the machine."""
BAR_US = 15.0
SCHEMA = {
    "type": "object",
    "required": ["order", "total", "lines"],
    "properties": {
        "order": {"type": "string", "pattern": "^[A-Z][0-9]{6}$"},
        "total": {"type": "number", "minimum": 0},
        "lines": {"type": "array", "items": {"type": "object", "required": ["price"]}},
        "note": {"type": "string", "maxLength": 2000},
    },
}
FIVE: dict[str, dict[str, Any]] = {
    "schema": {"json_schema": SCHEMA},
    "total": {"json_field": "lines[].price", "type": "number", "least": 0},
    "no_promise": {"not_matches": "guaranteed|promise", "ignore_case": True},
    "no_filler": {"not_contains": ["lorem ipsum", "as an ai"], "ignore_case": True},
    "concise": {"feature": "output.length.words", "most": 120},
}
OTHERS: dict[str, dict[str, Any]] = {
    "matches": {"matches": r"\btotal\b"},
    "contains": {"contains": ["order"]},
    "one_of": {"one_of": ["yes", "no", "unknown"]},
    "language": {"language": "en"},
    "function": {"function": "monitor.criteria.examples:ends_politely"},
}
_SENTENCE = (
    "the order was shipped on monday and arrives with our partner within three working days please check the address "
    "that you gave us before you write again we keep your note with it"
)


def outputs(n: int, seed: int = 1) -> list[OutputEvent]:
    """Answers of a service of orders: 0.5 KB of JSON with a note of some 60 words; one in ten breaks a check."""
    rng = random.Random(seed)
    made = []
    for number in range(n):
        words = rng.choices(_SENTENCE.split(), k=rng.randrange(40, 80))
        if number % 10 == 0:
            words[3] = "Promise"
        body = {
            "order": f"{rng.choice('ABC')}{rng.randrange(10**6):06d}",
            "total": round(rng.uniform(1, 500), 2),
            "lines": [{"price": round(rng.uniform(1, 90), 2)} for _ in range(rng.randrange(1, 5))],
            "note": " ".join(words),
        }
        made.append(OutputEvent(stream=f"orders-{number % 20}", id=str(number), output=json.dumps(body)))
    return made


class Alone:
    """Batches of events with all that checks ask for, so that only the checks are measured."""

    def __init__(self, events: Sequence[OutputEvent]) -> None:
        featurizer = build_featurizer(("length", "language"), "off")
        words = table_for([CheckFamily(lambda _: (), ())])
        self.batches: list[tuple[EventBatch, Callable[[str], Column | None]]] = []
        for start in range(0, len(events), BATCH):
            part = events[start : start + BATCH]
            measured = featurizer.featurize(part, source="b")
            columns = {name: measured.values[:, j] for j, name in enumerate(measured.names)}
            batch = EventBatch(part, words)
            _ = batch.output.texts
            self.batches.append((batch, columns.get))
        self.events = len(events)

    def cost(self, checks: dict[str, dict[str, Any]]) -> float:
        """CPU microseconds an event of these checks together."""
        criteria = tuple(Criterion.model_validate({"name": name, "check": check}) for name, check in checks.items())
        family = CheckFamily(lambda _: criteria, criteria)
        best = float("inf")
        for _ in range(PASSES):
            began = time.process_time()
            for batch, column in self.batches:
                family.extract(batch, column)
            best = min(best, time.process_time() - began)
        assert not family.failures
        return 1e6 * best / self.events


def by_hand(events: Sequence[OutputEvent]) -> float:
    """CPU microseconds an event of the five checks as one would write them for one output at a time."""
    import jsonschema_rs

    valid = jsonschema_rs.validator_for(SCHEMA).is_valid
    promise = re.compile("guaranteed|promise", re.IGNORECASE)

    def fits(text: str) -> bool:
        try:
            return valid(json.loads(text))
        except ValueError:
            return False

    def priced(text: str) -> bool:
        try:
            return all(line["price"] >= 0 for line in json.loads(text)["lines"])
        except (ValueError, KeyError, TypeError):
            return False

    def passes(text: str) -> list[bool]:
        return [
            fits(text),
            priced(text),
            promise.search(text) is None,
            not any(each in text.casefold() for each in ("lorem ipsum", "as an ai")),
            len(text.split()) <= 120,
        ]

    texts = [event.output or "" for event in events]
    best = float("inf")
    for _ in range(PASSES):
        began = time.process_time()
        for text in texts:
            passes(text)
        best = min(best, time.process_time() - began)
    return 1e6 * best / len(texts)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    events = outputs(parser.parse_args().events)
    alone = Alone(events)
    mean = sum(len(event.output or "") for event in events) / len(events)
    table = Table(title=f"Checks, {len(events):,} outputs of {mean:.0f} characters, CPU us an event")
    for head in ("checks", "alone"):
        table.add_column(head, justify="right" if head == "alone" else "left")
    five = alone.cost(FIVE)
    table.add_row(f"the five together (bar {BAR_US:g})", f"{five:.1f}")
    table.add_row("the five by hand, one output at a time", f"{by_hand(events):.1f}")
    for name, check in {**FIVE, **OTHERS}.items():
        table.add_row(f"{next(iter(check))} alone ({name})", f"{alone.cost({name: check}):.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
