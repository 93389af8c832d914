"""What the gate answers, and why: every reason, and what never passes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.actions.policy import (
    Answer,
    AttemptPolicy,
    Decide,
    Evidence,
    HoldIf,
    KindPolicy,
    OpenAlert,
    Policy,
    Quality,
    Reason,
    Similar,
    StreamState,
    after_attempts,
    decide,
    reason_of,
    unreachable,
    versioned,
)

NOW = 1_700_000_000.0
CALM = StreamState(known_at=NOW - 5)
DRIFT = OpenAlert(id="a1", kind="drift", title="Apologies in 42 %")
EMAIL = KindPolicy(decide=Decide.CHECKED, hold_if=tuple(HoldIf), on_timeout=Answer.FALL_BACK)
MONEY = KindPolicy(decide=Decide.APPROVAL, two_above=1000, expires_s=100, warn_before_s=20)
DRAFT = KindPolicy(decide=Decide.PASS, on_monitor_down=Answer.PASS, on_timeout=Answer.PASS)


def reasons(found: Evidence, policy: KindPolicy = EMAIL) -> list[tuple[str, str, str]]:
    return [(one.code, one.about, one.says) for one in decide("email", policy, found, NOW).reasons]


def test_a_clean_output_passes_on_a_calm_stream_and_is_held_on_a_drifting_one() -> None:
    assert decide("email", EMAIL, Evidence(stream=CALM), NOW).answer is Answer.PASS
    drifting = StreamState(known_at=NOW, alerts=(DRIFT,))
    decision = decide("email", EMAIL, Evidence(stream=drifting), NOW)
    assert decision.answer is Answer.HOLD
    assert (decision.approvals_needed, decision.expires_at) == (1, NOW + EMAIL.expires_s)
    assert decision.reasons == (Reason("drift", "An alert of the stream is open: Apologies in 42 %.", "a1"),)


@pytest.mark.parametrize(
    ("attributes", "answer"),
    [({"tenant": "acme"}, Answer.HOLD), ({"tenant": "other"}, Answer.PASS), ({}, Answer.HOLD)],
)
def test_an_alert_about_a_segment_holds_what_may_belong_to_it(attributes: dict[str, str], answer: Answer) -> None:
    alert = msgspec.structs.replace(DRIFT, segment={"tenant": "acme"})
    found = Evidence(stream=StreamState(known_at=NOW, alerts=(alert,)), attributes=attributes)
    assert decide("email", EMAIL, found, NOW).answer is answer


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (StreamState(), "its alerts were never read"),
        (StreamState(why_unknown="there is no trace store"), "there is no trace store"),
        (StreamState(known_at=NOW - 61), "it was last read 61 s ago"),
        (StreamState(known_at=NOW - 61, why_unknown="no route to host"), "no route to host; it was last read 61 s ago"),
    ],
)
def test_a_state_that_is_not_known_is_never_calm(stream: StreamState, says: str) -> None:
    assert reasons(Evidence(stream=stream)) == [("unsure", "", f"The state of the stream is not known: {says}.")]


def test_a_proposal_without_a_stream_is_not_calm_and_no_news_to_those_who_approve() -> None:
    says = "The proposal names no stream, so nothing is known of its state."
    assert reasons(Evidence()) == [("unsure", "", says)]
    assert [code for code, *_ in reasons(Evidence(fields={"amount": 5}), MONEY)] == ["approval"]


def test_each_finding_has_its_reason() -> None:
    found = Evidence(
        violated=(("concise", "is longer than 120 words"),),
        undecided=(("english", "the text is too short"),),
        similar=(Similar(key="email:7:1", similarity=0.97),),
        stream=StreamState(known_at=NOW, evaluator_down=("main",)),
    )
    assert reasons(found) == [
        ("check", "concise", "The output is longer than 120 words."),
        ("duplicate", "email:7:1", "email:7:1 said nearly the same to the same target in the last 600 s."),
        ("unsure", "english", "The check english could not be decided: the text is too short."),
        ("unsure", "main", "The evaluator main is down, so nobody judges this stream's outputs."),
    ]
    for chosen in HoldIf:
        only = msgspec.structs.replace(EMAIL, hold_if=(chosen,))
        assert {code for code, *_ in reasons(found, only)} <= {chosen.value}


@pytest.mark.parametrize("confidence", [None, 0.79, float("nan")])
def test_low_or_missing_confidence_holds_where_it_is_asked_for(confidence: float | None) -> None:
    sure = msgspec.structs.replace(EMAIL, least_confidence=0.8)
    assert [code for code, *_ in reasons(Evidence(stream=CALM, confidence=confidence), sure)] == ["confidence"]
    assert reasons(Evidence(stream=CALM, confidence=0.8), sure) == []


def test_quality_that_may_be_too_low_holds_where_it_is_asked_for() -> None:
    good = msgspec.structs.replace(EMAIL, least_quality=0.9)
    assert reasons(Evidence(stream=CALM), good)[0][2].startswith("The judged quality of the stream is not known")
    low = Quality(criterion="true", low=0.88, high=0.97, judged=120)
    [(code, about, says)] = reasons(Evidence(stream=msgspec.structs.replace(CALM, quality=(low,))), good)
    assert (code, about) == ("quality", "true")
    assert says == "88.0% to 97.0% of the outputs pass true (by 120 judged), and 90% are asked for."
    fine = msgspec.structs.replace(low, low=0.91)
    assert reasons(Evidence(stream=msgspec.structs.replace(CALM, quality=(fine,))), good) == []


@given(st.floats() | st.none(), st.floats() | st.none() | st.text() | st.integers() | st.booleans())
def test_money_never_passes_whatever_the_confidence_and_the_amount(confidence: float | None, amount: object) -> None:
    found = Evidence(stream=CALM, confidence=confidence, fields={"amount": amount})
    decision = decide("money", MONEY, found, NOW)
    assert decision.answer is Answer.HOLD
    assert decision.approvals_needed >= 1
    assert (decision.warn_at, decision.expires_at) == (NOW + 80, NOW + 100)


@pytest.mark.parametrize(
    ("amount", "needed"),
    [(1000, 1), ("999.99", 1), (1000.01, 2), (-5000, 2), ("1e9", 2), (None, 2), ("12 EUR", 2), (True, 2), ("inf", 2)],
)
def test_two_people_approve_above_the_limit_and_where_the_amount_cannot_be_read(amount: object, needed: int) -> None:
    fields = {} if amount is None else {"amount": amount}
    assert decide("money", MONEY, Evidence(stream=CALM, fields=fields), NOW).approvals_needed == needed


def test_those_who_approve_see_what_was_found() -> None:
    found = Evidence(violated=(("concise", "is long"),), stream=StreamState(known_at=NOW, alerts=(DRIFT,)))
    assert [code for code, *_ in reasons(found, MONEY)] == ["approval", "check", "drift", "two_approvers"]


def test_a_client_alone_gives_the_named_answer_and_holds_what_has_none() -> None:
    policy = versioned({"draft": DRAFT, "email": EMAIL}, {})
    assert unreachable("draft", policy, timed_out=False, why="refused").answer is Answer.PASS
    assert unreachable("email", policy, timed_out=True, why="over 1 s").answer is Answer.FALL_BACK
    assert unreachable("email", policy, timed_out=False, why="refused").answer is Answer.HOLD
    for known in (None, policy):
        decision = unreachable("other", known, timed_out=False, why="refused")
        assert decision.answer is Answer.HOLD
        assert [one.code for one in decision.reasons] == ["monitor_down", "no_policy"]


@pytest.mark.parametrize(("failed", "answer"), [(0, "pass"), (1, "pass"), (2, "hand_over"), (7, "hand_over")])
def test_after_two_failed_attempts_a_person_takes_over(failed: int, answer: str) -> None:
    policy = versioned({}, {"voice_intent": AttemptPolicy(most=2)})
    assert after_attempts("voice_intent", policy, failed).answer == answer
    assert after_attempts("unheard_of", policy, failed).answer is Answer.HAND_OVER
    assert after_attempts("voice_intent", None, failed).answer is Answer.HAND_OVER


def test_a_version_names_content_whatever_the_order() -> None:
    one = versioned({"draft": DRAFT, "email": EMAIL}, {})
    assert one.version == versioned({"email": EMAIL, "draft": DRAFT}, {}).version
    changed = msgspec.structs.replace(EMAIL, expires_s=1.0)
    assert one.version != versioned({"draft": DRAFT, "email": changed}, {}).version
    assert msgspec.json.decode(msgspec.json.encode(one), type=Policy) == one


@pytest.mark.parametrize("about", ["", "email:7:1", "b (2)"])
def test_a_reason_survives_the_ledger(about: str) -> None:
    reason = Reason("duplicate", "It said: (the same).\nTwice.", about)
    assert reason_of(reason.line()) == reason
    assert reason_of("something else") == Reason("other", "something else")
