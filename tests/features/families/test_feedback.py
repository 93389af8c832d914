"""Which attributes of an event are ratings, which describe what came in, and which are neither."""

from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.declared_attributes import DeclaredAttribute
from monitor.features.families.feedback import feedback_of
from monitor.features.registry import build_featurizer


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rating", 4.5, {"call.feedback.score[rating]": 4.5}),
        ("rating", "4.5", {"call.feedback.score[rating]": 4.5}),
        ("thumbs_up", True, {"call.feedback.flag[thumbs_up]": 1.0}),
        ("thumbs_up", "no", {"call.feedback.flag[thumbs_up]": 0.0}),
        ("verdict", "wrong", {"call.feedback.label[verdict]": "wrong"}),
        ("cart_value", 12, {"input.attribute.number[cart_value]": 12.0}),
        ("premium", False, {"input.attribute.flag[premium]": 0.0}),
        ("tenant", "acme", {}),
        ("tenant_id", 17, {}),
        ("createdAt", 1.7e9, {}),
        ("feedback", "It was a very bad answer, truly", {}),
        ("score", float("inf"), {}),
        ("score", 10**400, {}),
        ("score", None, {}),
        ("score", [1], {}),
    ],
)
def test_attributes(name: str, value: object, said: dict[str, object]) -> None:
    assert feedback_of(OutputEvent(stream="s", output="x", attributes={name: value})) == said


def declared(**kinds: str) -> dict[str, DeclaredAttribute]:
    return {name: DeclaredAttribute.model_validate({"name": name, "kind": kind}) for name, kind in kinds.items()}


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("number", 3, {"call.feedback.score[tier]": 3.0}),
        ("number", "3.5", {"call.feedback.score[tier]": 3.5}),
        ("number", True, {"call.feedback.score[tier]": 1.0}),
        ("number", "gold", {}),
        ("flag", "yes", {"call.feedback.flag[tier]": 1.0}),
        ("flag", 0, {"call.feedback.flag[tier]": 0.0}),
        ("flag", 7, {}),
        ("category", "gold", {"call.feedback.label[tier]": "gold"}),
        ("category", 3, {"call.feedback.label[tier]": "3"}),
        ("category", 1.0, {"call.feedback.label[tier]": "1"}),
        ("category", False, {"call.feedback.label[tier]": "false"}),
        ("category", "x" * 90, {}),
        ("ignore", 3, {}),
        ("ignore", "gold", {}),
        ("number", None, {}),
    ],
)
def test_what_is_declared_is_measured_as_declared_whatever_its_name(
    kind: str, value: object, said: dict[str, object]
) -> None:
    event = OutputEvent(stream="s", output="x", attributes={"tier": value})
    assert feedback_of(event, declared(tier=kind)) == said


def test_a_declaration_replaces_what_the_name_says() -> None:
    event = OutputEvent(stream="s", output="x", attributes={"rating": 4, "createdAt": 5, "score": 0.5})
    assert feedback_of(event, declared(rating="ignore", createdAt="number")) == {
        "call.feedback.score[createdAt]": 5.0,
        "call.feedback.score[score]": 0.5,
    }


def test_what_is_said_of_an_output_is_no_part_of_the_traffic() -> None:
    attributes = {
        "rating": 2,
        "thumbs_up": False,
        "verdict": "bad",
        "intent": "refund",
        "tenant": "acme",
        "tier": "gold",
    }
    event = OutputEvent(stream="s", id="1", output="x", attributes=attributes)
    recognised = build_featurizer(("feedback",), "off").featurize([event], source="t").segments[0]
    assert set(recognised) == {"attributes.intent", "attributes.tenant", "attributes.tier"}
    featurizer = build_featurizer(("feedback",), "off", declared=lambda _: declared(tier="category", intent="ignore"))
    assert set(featurizer.featurize([event], source="t").segments[0]) == {"attributes.tenant"}
