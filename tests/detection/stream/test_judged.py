"""A conclusion from verdicts enters the log and revises the finding: once, replayable, kept by what follows."""

from __future__ import annotations

import msgspec
import pytest

from monitor.detection import Control, ControlAction, Finding, FindingKind, PartitionMonitor, State
from monitor.detection.records.judged import CriterionBeforeAfter, Harm, Judged, severity_by, to_data
from monitor.detection.records.severity import Severity
from monitor.errors import InvalidEvent
from tests.detection.streams import CHARS, SETTINGS, SPECS, WORDS, Traffic, calm


def verdicts(harm: Harm) -> Judged:
    counts = CriterionBeforeAfter(criterion="c", failed_before=1, judged_before=20, failed_after=12, judged_after=20)
    return Judged(harm=harm, confidence=0.95, margin=0.15, criteria=[counts], text=f"Judged: {harm.value}.")


def row(finding: str, harm: Harm) -> Control:
    return Control(action=ControlAction.JUDGED, stream="s", by="judge", data=to_data(finding, verdicts(harm)))


def traffic() -> Traffic:
    made = calm(2_000, seed=3)
    for name in (CHARS, WORDS):
        made[name][600:1_400] *= 2
    return made


class Log:
    """Applies one stream's rows and control rows in order; takes over a snapshot in between where asked."""

    def __init__(self) -> None:
        self.monitor = PartitionMonitor(lambda _: SETTINGS, SPECS)
        self.offset = 0
        self.row = 0
        self.traffic = traffic()

    def rows(self, until: int, *, step: int = 20) -> list[Finding]:
        found = []
        while self.row < until:
            stop = min(until, self.row + step)
            found += self.monitor.apply(self.traffic.batch(self.row, stop), self.offset)
            self.offset, self.row = self.offset + 1, stop
        return found

    def control(self, control: Control) -> list[Finding]:
        found = self.monitor.control(control, self.offset)
        self.offset += 1
        return found

    def restart(self) -> None:
        taken = PartitionMonitor(lambda _: SETTINGS, SPECS)
        for stream, snapshot in self.monitor.changed().items():
            taken.restore(stream, snapshot)
        self.monitor = taken


def fired(log: Log) -> Finding:
    """The finding that opens, some rows after the change."""
    while log.row < 800:
        for finding in log.rows(log.row + 20):
            if finding.opens:
                return finding
    raise AssertionError("nothing fired")


@pytest.mark.parametrize("restart", [False, True])
def test_harm_revises_the_finding_and_stays_in_all_that_follows(restart: bool) -> None:
    log = Log()
    first = fired(log)
    (revised,) = log.control(row(first.id, Harm.HARMFUL))
    assert (revised.id, revised.state, revised.revision) == (first.id, State.FIRING, first.revision + 1)
    assert revised.judged == verdicts(Harm.HARMFUL)
    assert (revised.raised_at, revised.began_at, revised.title) == (first.raised_at, first.began_at, first.title)
    if restart:
        log.restart()
    later = [finding for finding in log.rows(2_000) if finding.id == first.id]
    assert [finding.judged for finding in later] == [verdicts(Harm.HARMFUL)] * len(later)
    updates = [finding.revision for finding in later if finding.is_update]
    assert updates == list(range(revised.revision + 1, revised.revision + 1 + len(updates)))
    assert updates, "the monitor measures again as well"
    assert later[-1].state is State.RESOLVED


def test_the_same_log_gives_the_same_findings() -> None:
    def whole(cut: int) -> list[bytes]:
        log = Log()
        found = [first := fired(log)]
        found += log.control(row(first.id, Harm.HARMLESS))
        found += log.rows(2_000, step=cut)
        return [msgspec.json.encode(finding) for finding in found]

    assert whole(20) == whole(90)


def test_a_second_conclusion_and_one_that_comes_again_change_nothing() -> None:
    log = Log()
    first = fired(log)
    control = row(first.id, Harm.HARMLESS)
    assert len(log.control(control)) == 1
    assert log.control(row(first.id, Harm.HARMFUL)) == []
    assert log.monitor.control(control, log.offset - 2) == []


def test_a_second_look_replaces_a_first_that_could_not_tell_and_no_other() -> None:
    def looked(harm: Harm, look: int) -> Control:
        judged = msgspec.structs.replace(verdicts(harm), look=look)
        return Control(action=ControlAction.JUDGED, stream="s", data=to_data(first.id, judged))

    log = Log()
    first = fired(log)
    assert len(log.control(looked(Harm.CANNOT_TELL, 1))) == 1
    assert log.control(looked(Harm.HARMFUL, 1)) == []
    (second,) = log.control(looked(Harm.HARMFUL, 2))
    assert second.judged is not None
    assert (second.judged.look, second.revision) == (2, first.revision + 2)
    assert log.control(looked(Harm.HARMLESS, 3)) == []


def test_a_conclusion_about_what_is_over_or_unknown_changes_nothing() -> None:
    log = Log()
    first = fired(log)
    log.rows(2_000)
    assert log.control(row(first.id, Harm.HARMFUL)) == []
    assert log.control(row("0" * 16, Harm.HARMFUL)) == []
    assert log.monitor.control(Control(action=ControlAction.JUDGED, stream="absent"), log.offset) == []


@pytest.mark.parametrize("data", [{}, {"finding": 3}, {"finding": "x", "judged": {"harm": "awful"}}, {"judged": None}])
def test_a_row_that_cannot_be_read_is_refused_and_changes_nothing(data: dict[str, object]) -> None:
    log = Log()
    first = fired(log)
    with pytest.raises(InvalidEvent, match="judged"):
        log.control(Control(action=ControlAction.JUDGED, stream="s", data=data))
    assert len(log.control(row(first.id, Harm.HARMFUL))) == 1


@pytest.mark.parametrize(
    ("harm", "kind", "before", "after"),
    [
        (Harm.HARMFUL, FindingKind.DRIFT, Severity.WARNING, Severity.CRITICAL),
        (Harm.HARMFUL, FindingKind.DRIFT, Severity.CRITICAL, Severity.CRITICAL),
        (Harm.HARMLESS, FindingKind.DRIFT, Severity.CRITICAL, Severity.WARNING),
        (Harm.HARMLESS, FindingKind.DRIFT, Severity.WARNING, Severity.INFO),
        (Harm.HARMLESS, FindingKind.PRIVACY, Severity.CRITICAL, Severity.CRITICAL),
        (Harm.HARMLESS, FindingKind.CHECK, Severity.WARNING, Severity.WARNING),
        (Harm.CANNOT_TELL, FindingKind.DRIFT, Severity.WARNING, Severity.WARNING),
    ],
)
def test_severity_follows_the_harm(harm: Harm, kind: FindingKind, before: Severity, after: Severity) -> None:
    assert severity_by(before, kind, verdicts(harm)) is after
