"""Attributes that say something of an output: what they say changed is no change of the traffic's mix."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.detection.records.finding import FindingKind, State
from monitor.events.schema import OutputEvent
from monitor.settings import Settings
from pipelines.replay.replay import replay

BEFORE, AFTER = 450, 150
SUBJECTS = ("the kettle", "your parcel", "the invoice", "a lamp", "this order", "the refund")
ENDINGS = ("is on its way.", "arrives on Monday.", "was sent today.", "will be checked by us.", "is complete now.")


def events(name: str, before: Any, after: Any) -> Iterator[OutputEvent]:
    """Answers with an attribute that `before` and `after` draw from a generator."""
    rng = random.Random(11)
    for k in range(BEFORE + AFTER):
        draw = before if k < BEFORE else after
        text = " ".join(f"{rng.choice(SUBJECTS).capitalize()} {rng.choice(ENDINGS)}" for _ in range(rng.randint(2, 5)))
        yield OutputEvent(
            stream="shop/answers", id=str(k), time=1.7e9 + 20.0 * k, input="Where is it?", output=text,
            attributes={name: draw(rng), "locale": rng.choice(("en", "gb"))},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("thumbs_up", lambda rng: rng.random() < 0.93, lambda rng: rng.random() < 0.3, "thumbs_up is true less often"),
        ("tool", lambda rng: rng.choice(("search", "search", "lookup")), lambda rng: "guess", "tool is guess"),
    ],
)
def test_what_an_attribute_says_is_a_finding_and_no_mix(name: str, before: Any, after: Any, said: str) -> None:
    found = [one for one in replay(events(name, before, after), Settings()) if one.opens]
    assert [one.kind for one in found] == [FindingKind.FEEDBACK]
    assert found[0].title.startswith(f"shop/answers: {said}")
    assert found[0].segment is None
    assert found[0].state is State.FIRING
