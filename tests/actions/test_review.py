"""The rules of the review queue: the draw, the order, leases, and what stays hidden."""

from __future__ import annotations

import msgspec
import pytest

from monitor.actions.review import (
    COST,
    Decision,
    InvalidReview,
    Kind,
    NotYours,
    Opinion,
    ReviewItem,
    StaleLease,
    State,
    check_decision,
    checked_lease,
    checked_person,
    item_id,
    message_of,
    priority,
    second_opinion,
    second_phase,
    shown,
)

SALT = b"salt"


def item(**given: object) -> ReviewItem:
    known: dict[str, object] = {
        "id": "i1", "kind": Kind.SAMPLE, "stream": "support", "event": "e1", "time": 900.0, "created": 1_000.0,
        "criterion": "helpful", "evaluator": "main", "identity": "a1", "verdict": False, "stratum": "risky+uniform",
        "judged_probability": 0.5, "probability": 0.25, "second": True, "fence": 1, "leased_by": "ann",
        "leased_until": 2_000.0,
    }  # fmt: skip
    return ReviewItem(**(known | given))  # type: ignore[arg-type]


def decision(opinion: Opinion = Opinion.PASS) -> Decision:
    return Decision(item="i1", by="ann", opinion=opinion, at=1_500.0, fence=1)


def test_the_draw_is_repeatable_nested_and_as_large_as_asked() -> None:
    events = [f"e{n}" for n in range(20_000)]
    few = {event for event in events if second_phase(SALT, "s", event, 0.05, 0.1)}
    many = {event for event in events if second_phase(SALT, "s", event, 0.5, 0.1)}
    assert few <= many
    assert few == {event for event in events if second_phase(SALT, "s", event, 0.05, 0.9)}
    assert 0.045 < len(few) / len(events) < 0.055
    assert 0.49 < len(many) / len(events) < 0.51
    twice = [event for event in many if (phase := second_phase(SALT, "s", event, 0.5, 0.1)) and phase.second]
    assert 0.09 < len(twice) / len(many) < 0.11
    assert many != {event for event in events if second_phase(b"other", "s", event, 0.5, 0.1)}


def test_people_are_drawn_whatever_drew_the_output_for_the_evaluator() -> None:
    from monitor.judgment.draw import uniform

    judged = [event for n in range(40_000) if uniform(SALT, "s", event := f"e{n}") < 0.1]
    share = sum(second_phase(SALT, "s", event, 0.3, 0.0) is not None for event in judged) / len(judged)
    assert 0.27 < share < 0.33


def test_the_dearest_and_oldest_comes_first() -> None:
    new, old = item(created=1_000.0), item(created=400.0)
    dear = item(created=1_000.0, kind=Kind.HELD, cost=COST[Kind.HELD])
    assert priority(dear, 1_000.0) > priority(new, 1_000.0) > 0
    assert priority(old, 1_010.0) > priority(new, 1_010.0)
    assert priority(dear, 2_000.0) > priority(old, 2_000.0)


def test_only_the_latest_lease_of_the_same_person_decides() -> None:
    check_decision(item(), "ann", 1)
    check_decision(item(leased_until=1.0), "ann", 1)  # over, and nobody else has got it
    with pytest.raises(NotYours):
        check_decision(item(), "bob", 1)
    with pytest.raises(StaleLease, match="someone else has it now"):
        check_decision(item(fence=2), "ann", 1)
    with pytest.raises(StaleLease, match="nobody was given"):
        check_decision(item(fence=0), "ann", 0)
    for state in (State.DECIDED, State.CLOSED):
        with pytest.raises(StaleLease, match=state.value):
            check_decision(item(state=state), "ann", 1)


def test_a_second_opinion_is_drawn_from_the_start_and_knows_nothing_of_the_first() -> None:
    second = second_opinion(item(), decision())
    assert second is not None
    assert (second.kind, second.first, second.fence, second.leased_by, second.second) == ("second", "i1", 0, "", False)
    assert second.id == item_id(Kind.SECOND, "i1")
    assert second_opinion(item(second=False), decision()) is None
    assert second_opinion(item(), decision(Opinion.UNSURE)) is None
    assert second_opinion(second, decision()) is None


def test_a_blind_item_shows_neither_the_verdict_nor_what_gives_it_away() -> None:
    passed, failed = item(verdict=True, probability=0.05), item(verdict=False, probability=0.5)
    assert shown(passed) == shown(failed)
    second = second_opinion(item(), decision())
    assert second is not None
    leased = msgspec.structs.replace(second, id="i1", created=1_000.0, fence=1, leased_by="ann", leased_until=2_000.0)
    assert shown(leased) == shown(item())
    assert shown(item(kind=Kind.FLAGGED)).verdict is False


def test_what_cannot_be_is_refused_in_words() -> None:
    for lease in (1.0, 1e9, float("nan")):
        with pytest.raises(InvalidReview, match="lease"):
            checked_lease(lease)
    for name in ("", "  ", "a\nb", "x" * 300):
        with pytest.raises(InvalidReview, match="name"):
            checked_person(name)
    assert checked_person(" ann ") == "ann"


def test_the_message_of_a_decision_has_no_texts() -> None:
    message = msgspec.to_builtins(message_of(item(reason="a secret"), decision(Opinion.FAIL)))
    assert message["opinion"] == "fail"
    assert message["probability"] == 0.25
    assert not {"note", "reason", "groups"} & message.keys()
