"""The gate through its client: the same output passes on a calm stream and is held on a drifting one."""

from __future__ import annotations

import httpx
import pytest

from monitor.actions.policy import Answer, OpenAlert, StreamState
from monitor.gate import Gate, GateRefused
from tests.gate.conftest import Monitor

DRAFT = "Hi Anna, your team is hiring data engineers. Would a short call on Tuesday work for you?"
OTHER_WORDS = "Hello Anna, I saw that your team hires data engineers. Does a short call on Tuesday work for you?"
PROMISE = "Hi Anna, guaranteed savings of 30 percent. Shall we talk?"


def ask(gate: Gate, key: str, text: str, **more: object) -> tuple[str, list[str]]:
    more = {"stream": "outreach/email", "target": key, **more}
    answer = gate.ask("email", key=key, output=text, **more)
    return answer.answer.value, [f"{one.code}:{one.about}" for one in answer.reasons]


def test_the_same_output_passes_on_a_calm_stream_and_is_held_on_a_drifting_one(monitor: Monitor, gate: Gate) -> None:
    assert ask(gate, "email:1", DRAFT) == ("pass", [])
    alert = OpenAlert(id="a1", kind="drift", title="Apologies in 42 %")
    monitor.streams.states["outreach/email"] = StreamState(known_at=monitor.now(), alerts=(alert,))
    assert ask(gate, "email:2", DRAFT) == ("hold", ["drift:a1"])
    assert ask(gate, "email:1", DRAFT) == ("pass", [])  # decided before, and still allowed
    monitor.streams.states["outreach/email"] = StreamState(known_at=monitor.now() - 100)
    assert ask(gate, "email:3", DRAFT) == ("hold", ["unsure:"])


@pytest.mark.parametrize(("segment", "answer"), [("acme", "hold"), ("other", "pass")])
def test_an_alert_about_a_segment_holds_its_outputs(monitor: Monitor, gate: Gate, segment: str, answer: str) -> None:
    alert = OpenAlert(id="a1", kind="drift", title="Apologies", segment={"attributes.tenant": "acme"})
    monitor.streams.states["outreach/email"] = StreamState(known_at=monitor.now(), alerts=(alert,))
    assert ask(gate, "email:1", DRAFT, attributes={"tenant": segment})[0] == answer


def test_a_draft_that_fails_a_check_is_held_with_the_checks_name(monitor: Monitor, gate: Gate) -> None:
    assert ask(gate, "email:1", PROMISE) == ("hold", ["check:no_promises"])
    assert ask(gate, "email:1", PROMISE) == ("hold", ["check:no_promises"])
    held = monitor.ledger.get("default", "email:1")
    assert held.payload == {"output": PROMISE}
    assert held.reasons[0].startswith("check(no_promises): The output ")
    # Another text under the same key is decided again.
    assert ask(gate, "email:1", DRAFT) == ("pass", [])


def test_other_words_to_the_same_target_are_held_as_a_duplicate(monitor: Monitor, gate: Gate) -> None:
    assert ask(gate, "email:1", DRAFT, target="anna@x.example") == ("pass", [])
    assert ask(gate, "email:2", OTHER_WORDS, target="anna@x.example") == ("hold", ["duplicate:email:1"])
    assert ask(gate, "email:3", OTHER_WORDS, target="ben@x.example") == ("pass", [])
    invoice = "Your invoice 2231 has been due since last week. Please transfer the amount by Friday."
    assert ask(gate, "email:4", invoice, target="anna@x.example") == ("pass", [])
    monitor.ahead_s = 1_000
    assert ask(gate, "email:5", OTHER_WORDS, target="anna@x.example") == ("pass", [])


@pytest.mark.parametrize(
    ("kind", "more", "error"),
    [
        ("emial", {"key": "k"}, "no kind of action is called 'emial', did you mean `email`?"),
        ("email", {}, "this kind requires `key`"),
        ("record", {"key": "k"}, "this kind requires `undo`"),
        ("email", {"key": "k\u202e"}, r"key: character 2 is U\+202E"),
        ("email", {"key": ".."}, "key: must not be '..'"),
        ("email", {"key": "k" * 257}, "key: must have 1 to 256 characters, has 257"),
        ("email", {"key": "k", "fields": {"amount": float("inf")}}, "fields.amount: must be a finite number"),
        ("email", {"key": "k", "confidence": 1.5}, "confidence: must be between 0 and 1"),
        ("email", {"key": "k", "recipient": "x"}, "Unexpected keyword argument 'recipient'"),
        ("email", {"key": "k", "output": 7}, r"\$.output"),
    ],
)
def test_a_wrong_question_is_refused_with_what_to_change(
    gate: Gate, kind: str, more: dict[str, object], error: str
) -> None:
    with pytest.raises(GateRefused, match=error):
        gate.ask(kind, **more)  # type: ignore[arg-type]


def test_answers_are_counted_by_kind(monitor: Monitor, gate: Gate) -> None:
    ask(gate, "email:1", DRAFT)
    ask(gate, "email:2", PROMISE)
    gate.failed_attempt("voice_intent", "call-1", 2)
    shown = httpx.get(f"{monitor.url}/metrics", timeout=30).text
    for kind, answer in (("email", "pass"), ("email", "hold"), ("voice_intent", "hand_over")):
        assert f'oqm_gate_answers_total{{answer="{answer}",kind="{kind}"}} 1.0' in shown


def test_a_key_of_other_fields_is_a_mismatch(gate: Gate) -> None:
    gate.ask("email", key="email:1", output=DRAFT, fields={"to": "anna@x.example"})
    with pytest.raises(GateRefused, match="email:1") as raised:
        gate.ask("email", key="email:1", output=DRAFT, fields={"to": "ben@x.example"})
    assert raised.value.code == "mismatch"


def test_money_is_held_for_people_whatever_the_confidence(gate: Gate) -> None:
    for amount, needed in ((10, 1), (5_000, 2)):
        answer = gate.ask("money", key=f"pay:{amount}", fields={"amount": amount}, confidence=1.0)
        assert (answer.answer, answer.approvals_needed) == (Answer.HOLD, needed)


def test_the_client_has_the_policy_and_keeps_it(monitor: Monitor, gate: Gate) -> None:
    assert gate.policy == monitor.services.settings.gate.policy
    gate.refresh()  # 304: it stays
    assert gate.policy == monitor.services.settings.gate.policy


def post(monitor: Monitor, token: str, **body: object) -> tuple[int, dict[str, object]]:
    answer = httpx.post(f"{monitor.url}/v1/gate", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(("kind", "answer"), [("draft", "pass"), ("email", "hold"), ("money", "hold")])
def test_who_says_that_it_decided_by_itself_passes_only_what_the_policy_lets(
    monitor: Monitor, kind: str, answer: str
) -> None:
    alone = {"at": 0, "answer": "pass", "reasons": []}
    body = {"kind": kind, "key": "k", "stream": "outreach/email", "output": PROMISE, "journaled": alone}
    status, said = post(monitor, monitor.token, **body)
    assert (status, said["answer"]) == (200, answer)
    assert [one.what for one in monitor.ledger.audit() if one.subject == "gate:default/k"] == ["answered_alone"]


def test_an_application_can_neither_approve_nor_name_what_its_kind_decides(monitor: Monitor, gate: Gate) -> None:
    for extra in ("decide", "on_unknown", "downstream_key", "approvals_needed", "policy_version", "scope"):
        status, problem = post(monitor, monitor.token, kind="money", key="pay:1", **{extra: "pass"})
        assert (status, problem["type"]) == (422, "urn:oqm:problem:invalid-body")
    held = gate.ask("money", key="pay:1", fields={"amount": 5}, undo="I can undo it", confidence=1.0)
    binding = {name: getattr(held, name) for name in ("fingerprint", "text_hash", "policy_version")}
    for key in ("pay:1", "pay%3A1"):
        answer = httpx.post(
            f"{monitor.url}/v1/approvals/{key}/approve",
            json=binding,
            headers={"Authorization": f"Bearer {monitor.token}"},
            timeout=30,
        )
        assert answer.status_code == 403
    assert gate.ask("money", key="pay:1", fields={"amount": 5}).answer is Answer.HOLD


def test_a_token_without_the_right_and_one_of_another_app_are_kept_out(monitor: Monitor, gate: Gate) -> None:
    reader = monitor.ledger.token_create("reader", ["read"], monitor.now())
    assert post(monitor, reader, kind="draft")[0] == 403
    other = monitor.ledger.token_create("other", ["gate"], monitor.now(), app="other")
    gate.ask("email", key="email:1", output=DRAFT, fields={"to": "a"})
    # The same key of another application is another action.
    assert post(monitor, other, kind="email", key="email:1", output=DRAFT, fields={"to": "b"})[0] == 200
    assert {one.scope for one in monitor.ledger.list()} == {"default", "other"}
