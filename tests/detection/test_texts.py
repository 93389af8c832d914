"""End to end: made-up texts through the default features, in which the style changes."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from monitor.detection import Finding, State, StreamMonitor
from monitor.detection.records.finding import Driver
from monitor.events.schema import Model, OutputEvent
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer
from tests.detection.streams import SETTINGS, fired, named

SUBJECTS = ["The invoice", "Your parcel", "The account", "This device", "Your booking", "The refund", "The ticket"]
VERBS = ["was sent", "has been checked", "will arrive", "is being prepared", "can be changed", "was confirmed"]
WHEN = ["today", "by Friday", "within two days", "this morning", "after the weekend", "as soon as we can", "next week"]
CLOSINGS = ["Let us know if you need anything else.", "We are happy to help.", "Thank you for your patience.", ""]
QUESTIONS = ["Where is my order?", "How do I change my address?", "Can I get a refund?", "Why was I charged twice?"]
AT, N = 600, 1000


def plain(random: Random) -> str:
    sentences = [
        f"{random.choice(SUBJECTS)} {random.choice(VERBS)} {random.choice(WHEN)}." for _ in range(random.randint(1, 5))
    ]
    return " ".join([*sentences, random.choice(CLOSINGS)]).strip()


def listing(random: Random) -> str:
    """The same content, as a list with bold heads."""
    items = [
        f"- **{random.choice(SUBJECTS)}**: {random.choice(VERBS)} {random.choice(WHEN)}"
        for _ in range(random.randint(2, 6))
    ]
    return "Here is what I found:\n\n" + "\n".join(items)


def refusing(random: Random) -> str:
    if random.random() < 0.5:
        return "I'm sorry, but I can't help with that."
    return plain(random)


@cache
def featurizer() -> Featurizer:
    return build_featurizer()


@cache
def batch(style: str) -> FeatureBatch:
    """1,000 events, the last 400 in another style."""
    random = Random(17)
    styles = {"plain": plain, "listing": listing, "refusing": refusing}
    events = [
        OutputEvent(
            id=f"e{i}",
            stream="support/answer",
            time=1_700_000_000.0 + 10 * i,
            input=random.choice(QUESTIONS),
            output=(styles[style] if i >= AT else plain)(random),
            model=Model(name="m", version="1"),
        )
        for i in range(N)
    ]
    return featurizer().featurize(events, source="file", partitions=None, offsets=None)


def watched(style: str) -> list[Finding]:
    monitor = StreamMonitor("support/answer", SETTINGS)
    found: list[Finding] = []
    for start in range(0, N, 100):
        found += monitor.observe(batch(style).rows(start, start + 100))
    return found + monitor.close()


def test_the_same_style_all_along_fires_nothing() -> None:
    assert fired(watched("plain")) == []


@pytest.mark.parametrize(
    ("style", "within", "feature"),
    [("listing", 15, "output.format."), ("refusing", 40, "output.")],
)
def test_another_style_is_found_and_reported(style: str, within: int, feature: str) -> None:
    findings = watched(style)
    found = fired(findings)
    assert [f.state for f in findings if not f.is_update] == [State.FIRING]
    assert AT <= found[0].raised_at.index < AT + within
    assert abs(found[0].began_at.index - AT) <= 5
    assert found[0].driver is Driver.OUTPUT
    assert any(name.startswith(feature) for name in named(found[0]))
    assert all(int(i[1:]) < AT for i in found[0].examples.before)
    assert all(int(i[1:]) >= AT - 5 for i in found[0].examples.after)
    assert all(excerpt.output for excerpt in found[0].excerpts_after)


def test_the_default_declarations_are_those_of_the_default_features() -> None:
    given = StreamMonitor("support/answer", SETTINGS, featurizer().specs)
    own = StreamMonitor("support/answer", SETTINGS)
    rows = batch("listing")
    assert given.observe(rows) == own.observe(rows)
    assert given.snapshot() == own.snapshot()
