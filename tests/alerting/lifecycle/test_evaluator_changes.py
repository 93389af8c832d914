"""A change of judged quality in the days in which the evaluator changed."""

from __future__ import annotations

import msgspec
import pytest

from monitor.alerting.alert import Alert, is_grave_update, is_update
from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.evaluator_changes import EVALUATOR_CHANGED, SAME_DAYS_S
from monitor.alerting.rendering.samples import sample_finding
from monitor.detection.records.finding import Ended as How
from monitor.detection.records.finding import FindingKind, Resolution, Severity, State

DAY = 86_400.0
T = 1.79e9
STREAM = "~judged/shop/answers/polite"


def alert(kind: FindingKind, stream: str, began: float, state: State = State.FIRING, **changed: object) -> Alert:
    made = sample_finding(state, stream=stream, time=began)
    title = "Fewer outputs pass `polite`" if kind is FindingKind.QUALITY else "Evaluator main passes fewer"
    fields = {
        "id": f"{kind.value}-{stream}", "kind": kind, "segment": None, "severity": Severity.CRITICAL,
        "title": f"{stream}: {title}", "began_at": msgspec.structs.replace(made.began_at, time=began), **changed,
    }  # fmt: skip
    return from_finding(msgspec.structs.replace(made, **fields))


def quality(began: float = T, stream: str = STREAM, **changed: object) -> Alert:
    return alert(FindingKind.QUALITY, stream, began, **changed)  # type: ignore[arg-type]


def changed_evaluator(began: float = T, stream: str = "~anchor/polite", **changed: object) -> Alert:
    return alert(FindingKind.EVALUATOR_CHANGED, stream, began, **changed)  # type: ignore[arg-type]


def test_a_fall_after_the_evaluator_changed_is_perhaps_the_evaluators_and_a_warning() -> None:
    desk = Dispatch(AlertBook())
    change = changed_evaluator()
    desk.alert(change, T)
    [sent] = desk.alert(quality(T + DAY), T + DAY)
    assert sent.alert.title.startswith("Perhaps the evaluator: fewer outputs pass `polite`")
    assert "The evaluator changed in the same days" in sent.alert.cause
    assert sent.alert.annotations[EVALUATOR_CHANGED] == change.fingerprint
    assert (sent.alert.severity, sent.alert.labels["severity"]) == (Severity.WARNING, "warning")


def test_a_fall_that_was_sent_before_is_updated_once() -> None:
    desk = Dispatch(AlertBook())
    desk.alert(quality(), T)
    first, update = desk.alert(changed_evaluator(T + DAY), T + 5 * DAY)
    assert first.alert.kind is FindingKind.EVALUATOR_CHANGED
    assert f"Judged quality changed in the same days in {STREAM}" in first.alert.cause
    assert update.alert.title.startswith("Perhaps the evaluator: ")
    assert is_update(update.alert)
    assert is_grave_update(update.alert)
    assert (update.alert.severity, update.alert.labels["severity"]) == (Severity.CRITICAL, "critical")
    [standing] = [one for one in desk.firing() if one.kind is FindingKind.QUALITY]
    assert standing.title.startswith("Perhaps the evaluator: ")
    assert desk.book.get(standing.fingerprint).title == standing.title  # type: ignore[union-attr]
    assert desk.alert(changed_evaluator(T + DAY), T + 6 * DAY) == []
    # A later revision of detection's still counts, and says it, too.
    [again] = desk.alert(quality(revision=1, measured_events=300), T + 6 * DAY)
    assert again.alert.title.startswith("Perhaps the evaluator: ")
    assert again.alert.revision == 1


@pytest.mark.parametrize(
    "other",
    [
        changed_evaluator(T + SAME_DAYS_S + 1),
        changed_evaluator(stream="~anchor/correct"),
        changed_evaluator(stream="~judged/shop/other/polite"),
        changed_evaluator(
            T - 9 * DAY, state=State.RESOLVED, resolution=Resolution(how=How.RECOVERED, why="so", time=T - 4 * DAY)
        ),
    ],
)
def test_a_fall_at_another_time_or_by_another_criterion_stands_as_it_is(other: Alert) -> None:
    desk = Dispatch(AlertBook())
    desk.alert(other, T)
    [sent] = desk.alert(quality(), T)
    assert sent.alert.title.startswith("Fewer outputs pass")
    assert sent.alert.severity is Severity.CRITICAL
    assert EVALUATOR_CHANGED not in sent.alert.annotations


def test_another_evaluator_found_by_the_verdicts_concerns_its_own_stream() -> None:
    desk = Dispatch(AlertBook())
    desk.alert(changed_evaluator(stream=STREAM), T)
    [sent] = desk.alert(quality(T + DAY), T + DAY)
    assert EVALUATOR_CHANGED in sent.alert.annotations
