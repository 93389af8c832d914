"""Verdicts on anchors, from the log to findings that the evaluator changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor.criteria.anchors import Anchor, append_anchors, read_anchors
from monitor.detection.records.finding import Ended, Finding, FindingKind, State
from monitor.errors import ConfigError
from monitor.judgment.anchor_book import ASK_AGAIN_S, DAY_S, REPEATS, AnchorBook, AnchorBookState
from monitor.judgment.records import Judgment, Purpose

MADE = [Anchor(output=f"answer {number}", passed=number % 2 == 0, input=f"question {number}") for number in range(40)]
ANCHORS = {anchor.id: anchor for anchor in MADE}


class Log:
    """A book, its log, and an evaluator that agrees with people, but passes a share of the failures."""

    def __init__(self, seed: int = 1) -> None:
        self.book = AnchorBook("polite", ANCHORS, 30)
        self.rng = np.random.default_rng(seed)
        self.offset = 0
        self.lenient = 0.0

    def judges(self, names: Sequence[str], time: float = 0.0, **fields: Any) -> list[Finding]:
        found: list[Finding] = []
        for name in names:
            passed = ANCHORS[name].passed or bool(self.rng.random() < self.lenient)
            said: dict[str, Any] = {
                "passed": passed,
                "evaluator": "main",
                "identity": "a1",
                "rationale": "it is polite",
            }
            found += self.book.apply(
                Judgment(
                    stream="~anchor/polite", event=f"{name}@{self.offset}", time=time, judged_at=time,
                    criterion="polite", purpose=Purpose.ANCHOR, anchor=name, **{**said, **fields},
                ),
                self.offset,
            )  # fmt: skip
            self.offset += 1
        return found

    def pins(self, **fields: Any) -> list[Finding]:
        return self.judges([*ANCHORS] * REPEATS, **fields)

    def days(self, count: int, start: float = 1.0, **fields: Any) -> list[Finding]:
        found: list[Finding] = []
        for step in range(30 * count):
            now = DAY_S * (start + step / 30)
            found += self.judges(self.book.due(now), now, **fields)
        return found


def test_a_new_evaluator_is_asked_five_times_and_then_thirty_times_a_day_in_turn() -> None:
    log = Log()
    first = log.book.due(0.0)
    assert sorted(first) == sorted([*ANCHORS] * REPEATS)
    assert log.book.due(60.0) == []
    assert len(log.book.due(ASK_AGAIN_S)) == len(first)  # the judge gave no answer: asked again
    assert log.book.pinned is None
    assert log.judges(first) == []
    assert log.book.pinned is not None
    asked = [name for step in range(120 * 24) for name in log.book.due(DAY_S + step * 1_800.0)]
    assert len(asked) == pytest.approx(60 * 30, abs=2)
    assert {asked.count(name) for name in ANCHORS} <= {44, 45, 46}


def test_what_was_not_asked_while_no_worker_ran_is_not_made_up_for() -> None:
    log = Log()
    log.pins()
    log.book.due(DAY_S)
    assert [len(log.book.due(30 * DAY_S + second)) for second in (0.0, 2.0, 4.0)] == [1, 0, 0]


def test_an_evaluator_that_stays_as_it_was_is_not_reported() -> None:
    log = Log()
    log.pins()
    assert log.days(120) == []


def test_more_leniency_is_reported_with_figures_and_examples_and_ends_when_it_is_gone() -> None:
    log = Log()
    log.pins()
    log.days(10)
    log.lenient = 0.4
    [finding] = log.days(15, start=11.0)
    assert (finding.kind, finding.state, finding.stream) == (
        FindingKind.EVALUATOR_CHANGED,
        State.FIRING,
        "~anchor/polite",
    )
    assert "Evaluator main passes more of the anchors that people failed: 0 % when it was pinned, now " in finding.title
    assert finding.severity.value == "warning"
    assert "it is the evaluator that changed" in finding.cause
    assert finding.excerpts_after[0].output == "passes now, 0 % when pinned, failed by people: it is polite"
    assert finding.excerpts_after[0].input.startswith("question ")
    assert DAY_S * 10 < (finding.began_at.time or 0) < (finding.raised_at.time or 0) < DAY_S * 21
    log.lenient = 0.0
    [ended] = log.days(15, start=26.0)
    assert (ended.id, ended.state) == (finding.id, State.RESOLVED)
    assert ended.resolution is not None
    assert ended.resolution.how is Ended.RECOVERED


def test_another_identity_is_compared_with_the_baseline_before_it_and_then_with_its_own() -> None:
    log = Log()
    log.pins()
    log.lenient = 0.5
    found = log.pins(identity="b2", time=DAY_S)
    assert [finding.state for finding in found] == [State.FIRING, State.RESOLVED]
    assert "It came with another identity: main b2." in found[0].cause
    assert found[1].resolution is not None
    assert found[1].resolution.how is Ended.REPLACED
    assert log.book.pinned is not None
    assert log.book.pinned.identity == "b2"
    assert log.days(20, identity="b2") == []


def test_an_identity_that_judges_alike_is_not_reported_and_is_pinned() -> None:
    log = Log()
    log.pins()
    assert log.judges(log.book.due(DAY_S), DAY_S, identity="b2") == []
    assert len(log.book.due(2 * DAY_S)) == REPEATS * len(ANCHORS) - 1
    assert log.pins(identity="b2", time=2 * DAY_S) == []
    assert log.book.pinned is not None
    assert log.book.pinned.identity == "b2"


def test_a_baseline_that_was_asked_for_ends_what_is_open_and_is_not_compared() -> None:
    log = Log()
    log.pins()
    log.lenient = 0.5
    [finding] = log.days(10)
    [ended] = log.pins(pin="1790000000", time=12 * DAY_S)
    assert (ended.id, ended.state) == (finding.id, State.RESOLVED)
    assert ended.resolution is not None
    assert ended.resolution.how is Ended.ACCEPTED
    assert log.days(30, start=13.0) == []


def test_what_comes_again_what_is_remembered_and_what_is_of_others_changes_nothing() -> None:
    log = Log()
    log.pins()
    before = msgspec.msgpack.encode(log.book.state)
    name = next(iter(ANCHORS))
    again = Judgment(
        stream="~anchor/polite", event="x", time=1.0, criterion="polite", purpose=Purpose.ANCHOR, anchor=name,
        passed=True, identity="a1",
    )  # fmt: skip
    assert log.book.apply(again, log.offset - 1) == []  # applied before
    assert msgspec.msgpack.encode(log.book.state) == before
    log.book.apply(again, log.offset)
    once = log.book.state.verdicts
    log.book.apply(again, log.offset + 1)  # a judge that crashed gives it twice
    log.book.apply(msgspec.structs.replace(again, event="y", cached=True), log.offset + 2)
    log.book.apply(msgspec.structs.replace(again, event="z", anchor="unknown"), log.offset + 3)
    log.book.apply(msgspec.structs.replace(again, event="z", purpose=Purpose.DIAGNOSTIC), log.offset + 4)
    log.book.apply(msgspec.structs.replace(again, event="z", criterion="other"), log.offset + 5)
    assert log.book.state.verdicts == once == 1


def test_an_evaluator_that_is_away_is_not_pinned_by_what_it_did_not_say() -> None:
    log = Log()
    log.pins(passed=None, missing="blocked", identity="")
    assert log.book.pinned is None
    assert len(log.book.lacking()) == len(ANCHORS)
    log.judges([*ANCHORS][:3] * REPEATS)
    assert log.book.pinned is None


def test_an_anchor_that_cannot_be_judged_does_not_keep_the_others_from_being_watched() -> None:
    log = Log()
    names = [*ANCHORS]
    log.judges(names[:1] * REPEATS, passed=None, missing="unreadable")
    log.judges(names[1:] * REPEATS)
    assert log.book.pinned is not None


def test_a_book_goes_on_from_its_state_as_if_it_had_never_ended() -> None:
    log, other = Log(3), Log(3)
    found: list[tuple[str, State]] = []
    wanted: list[tuple[str, State]] = []
    for one, into in ((log, found), (other, wanted)):
        one.pins()
        one.days(8)
        one.lenient = 0.3
        for day in range(20):
            if one is log:
                state = msgspec.msgpack.decode(msgspec.msgpack.encode(one.book.state), type=AnchorBookState)
                one.book = AnchorBook("polite", ANCHORS, 30, state)
            into += [(finding.id, finding.state) for finding in one.days(1, start=9.0 + day)]
    assert found == wanted
    assert len(found) == 1


def test_files_of_anchors_are_read_as_people_write_them(tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text('{"output": "Yes.", "passed": true, "input": "Open?"}\n\n{"output": "No.", "passed": "fail"}\n')
    table.write_text("input,output,passed\nOpen?,Yes.,1\n,No.,no\n")
    assert read_anchors(lines) == read_anchors(table)
    assert [anchor.passed for anchor in read_anchors(lines).values()] == [True, False]
    assert append_anchors(tmp_path / "new" / "b.jsonl", read_anchors(table).values()) == 2
    assert append_anchors(tmp_path / "new" / "b.jsonl", read_anchors(table).values()) == 0
    assert read_anchors(tmp_path / "new" / "b.jsonl") == read_anchors(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"passed": true}', ":1: has no `output`"),
        ('{"output": "x"}', ":1: `passed` must be true or false"),
        ('{"output": "x", "passed": 1}\n{"output": "x", "passed": 0}', ":2: the same output stands above"),
        ("{", ":1: not valid JSON"),
        ("[1]", ":1: is no JSON object"),
        ('{"output": 3, "passed": true}', ":1: `output` must be a text"),
    ],
)
def test_a_mistake_in_a_file_of_anchors_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_anchors(path)


def test_a_file_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="oqm anchors add"):
        read_anchors(tmp_path / "none.jsonl")
