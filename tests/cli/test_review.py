"""`oqm review` on a ledger and a trace store, and what `oqm quality` and `oqm anchors` make of decisions."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from monitor.actions.review import Kind, Opinion, State
from monitor.ledger.open import open_ledger
from monitor.ledger.reviews import ReviewQueue
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm
from tests.review.made import item
from tests.review.stored import a_stored_output
from tests.store.judged_stream import Log, judgment, output_rows


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A judged stream of 100 outputs in a store, three of which wait for people in the ledger beside it."""
    now = time.time()
    traces = tmp_path / "traces"
    path = tmp_path / "monitor.yaml"
    path.write_text(
        f"store: {{location: {traces}}}\n"
        "evaluators: [{kind: classifier, name: main}]\n"
        "streams: [{match: '*', criteria: [{name: helpful, pass: it answers, evaluator: main, people: {},\n"
        f"  anchors: {tmp_path}/helpful.jsonl}}]}}]\n"
    )
    a_stored_output(traces, "e1", "support", now)
    log = Log(now)
    log.append(output_rows(range(100), time=now))
    for n in range(100):
        log.append(judgment(n, n >= 10, time=now, probability=1.0))
    from monitor.store.open import open_store

    store = open_store(str(traces))
    store.write(log.rows())
    store.close()
    ledger = open_ledger(str(traces))
    queue = ReviewQueue(ledger)
    drawn: dict[str, Any] = {"time": now, "judged_probability": 1.0, "probability": 0.5}
    queue.put([item(n, created=now - 10 + n, verdict=n > 1, **drawn) for n in range(1, 4)])
    ledger.close()
    return path


def state_of(settings: Path) -> dict[tuple[Kind, State], int]:
    ledger = open_ledger(str(settings.parent / "traces"), read_only=True)
    try:
        return dict(ReviewQueue(ledger).waiting())
    finally:
        ledger.close()


def typed(keys: str, *arguments: str | Path) -> tuple[int, str, str]:
    """`oqm review` with these lines in a pipe."""
    with mock.patch("sys.stdin", io.StringIO(keys)):
        done = oqm("review", *arguments)
    return done.returncode, done.stdout, done.stderr


def test_an_item_is_taken_decided_and_counted(settings: Path) -> None:
    options = ("--config", settings, "--as", "ann")
    (taken,) = json_lines(oqm("review", "next", *options, "--json").stdout)
    assert (taken["event"], taken["output"], taken["question"]) == ("e1", "Reset it.", "it answers")
    assert not {"verdict", "probability", "rationale"} & taken.keys()
    shown = oqm("review", "next", *options)
    assert "drawn output: e2 in support" in shown.stdout
    assert "no such output" in shown.stdout
    refused = oqm("review", "decide", taken["id"], "fail", "--fence", "9", *options)
    assert "fence 9 is not the latest" in one_line_of_error(refused)
    made = oqm("review", "decide", taken["id"], "pass", "--fence", "1", "--also", "anchor", *options)
    assert made.stdout == f"{taken['id']}: pass, by ann, also for: anchor; main failed it: It answers.\n"
    (quality,) = json_lines(oqm("quality", "--config", settings, "--json").stdout)
    assert (quality["people"], quality["people_open"], quality["rate"]) == (1, 2, pytest.approx(0.9))
    assert quality["with_people"]["second_only"] == 1
    assert quality["corrected"] is None
    table = oqm("quality", "--config", settings).stdout
    assert "people labelled 1; from 30 on they correct the evaluator" in table
    assert "1 of 1 that it failed (2 wait); the same in 0 of 1 (0 %), too few for kappa" in table
    added = oqm("anchors", "add", "helpful", "--reviewed", "--config", settings)
    assert "1 added; 1 in all, 1 that pass and 0 that fail" in added.stderr


def test_a_session_in_a_pipe_takes_a_key_a_line(settings: Path) -> None:
    code, out, err = typed("x\np\nn\noff topic\nf\ns\n", "--config", settings, "--as", "ann")
    assert code == 0
    assert out.count("helpful: it answers") == 3
    assert ": pass, by ann; main failed it: It answers." in out
    assert ": fail, by ann; main passed it" in out
    assert "nothing more waits for you" in err
    assert state_of(settings) == {(Kind.SAMPLE, State.DECIDED): 2, (Kind.SAMPLE, State.OPEN): 1}
    code, _, err = typed("", "--config", settings, "--as", "ann")
    assert (code, err) == (1, "nothing waits for you\n")


def test_what_is_in_hand_at_the_end_is_given_back(settings: Path) -> None:
    for keys in ("", "a\n", "q\n"):
        code, out, _ = typed(keys, "--config", settings, "--as", "ann")
        assert code == 0
        assert "e1 in support" in out
    with mock.patch("monitor.cli.review_session._keys", side_effect=KeyboardInterrupt), mock.patch("sys.stdin"):
        assert oqm("review", "--config", settings, "--as", "ann").returncode == 130
    listed = json_lines(oqm("review", "list", "--config", settings, "--json").stdout)
    assert [one.get("leased_by") for one in listed] == [None, None, None]


def test_an_output_is_flagged_and_an_item_given_back(settings: Path) -> None:
    added = oqm("review", "add", "e1", "--reason", "odd", "--config", settings)
    assert "waits for people" in added.stderr
    (flagged,) = json_lines(oqm("review", "next", "--kind", "flagged", "--config", settings, "--json").stdout)
    assert flagged["reason"] == "odd"
    back = oqm("review", "release", flagged["id"], "--fence", "1", "--config", settings)
    assert back.returncode == 0
    assert oqm("review", "next", "--kind", "flagged", "--config", settings).returncode == 1
    listed = oqm("review", "list", "--config", settings)
    assert "e1: odd" in listed.stdout
    assert "waiting in all: 1 flagged, 3 sample" in listed.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["next", "--ledger", "nowhere"], "nowhere: holds no ledger"),
        (["next", "--lease", "soon"], "--lease soon"),
        (["next", "--lease", "1s"], "a lease lasts 30 to 86400 s, not 1"),
        (["list", "--url", "http://127.0.0.1:1"], "set OQM_TOKEN"),
        (["list", "--url", "http://127.0.0.1:1", "--as", "ann"], "--as: has no meaning with --url"),
        (["list", "--token-file", "t"], "--token-file: is for --url"),
        (["add", "e404"], "event e404: the trace store has no such output"),
        (["add", "e1", "--anchor"], "needs the criterion"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(settings: Path, arguments: list[str], said: str) -> None:
    assert said in one_line_of_error(oqm("review", *arguments, "--config", settings))


def test_a_service_that_does_not_answer_is_said() -> None:
    done = oqm("review", "list", "--url", "http://127.0.0.1:1", OQM_TOKEN="x")
    assert "http://127.0.0.1:1: " in one_line_of_error(done)


def test_held_actions_are_shown_as_they_will_be_carried_out(settings: Path) -> None:
    from monitor.actions.states import Proposal

    ledger = open_ledger(str(settings.parent / "traces"))
    now = time.time()
    ledger.propose(
        Proposal(
            scope="shop", key="refund:1", kind="money", fingerprint="f", requester="agent", target="ann@example.com",
            fields={"amount": 40}, payload={"text": "We refund\x1b[31m 40"}, reasons=("approval(money): dear",),
            text_hash="t", policy_version="p", approvals_needed=1, expires_at=now + 600,
        ),
        now,
    )  # fmt: skip
    ledger.close()
    code, out, _ = typed("u\np\nq\n", "--config", settings, "--as", "ann", "--kind", "held")
    assert code == 0
    assert "action: money refund:1" in out
    assert "field amount: 40" in out
    assert "\x1b[31m" not in out
    ledger = open_ledger(str(settings.parent / "traces"), read_only=True)
    assert ledger.get("shop", "refund:1").state.value == "allowed"
    assert [vote.by for vote in ledger.get("shop", "refund:1").votes] == ["ann"]
    ledger.close()


def test_what_is_held_is_shown_before_any_output_is_stored(tmp_path: Path) -> None:
    from monitor.actions.states import Proposal

    ledger = open_ledger(str(tmp_path))
    proposal = Proposal(
        scope="shop", key="refund:1", kind="money", fingerprint="f", requester="agent",
        text_hash="t", policy_version="p", approvals_needed=1, expires_at=time.time() + 600,
    )  # fmt: skip
    ledger.propose(proposal, time.time())
    ledger.close()
    shown = oqm("review", "next", "--ledger", tmp_path, "--store", tmp_path, "--as", "ann")
    assert "action: money refund:1" in shown.stdout
    assert "texts of outputs are not shown: " in shown.stderr


def test_opinions_are_those_of_the_queue() -> None:
    assert [one.value for one in Opinion] == ["pass", "fail", "unsure"]
