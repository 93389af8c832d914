"""Which attributes of an event are ratings, which describe what came in, and which are neither."""

from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.feedback import feedback_of


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
