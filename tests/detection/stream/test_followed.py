"""What followed from a finding's outputs: a control row that revises the finding, and stays with it to its end."""

from __future__ import annotations

import msgspec
import pytest

from monitor.detection import Control, ControlAction, State
from monitor.detection.records.followed import Followed, to_data
from monitor.detection.records.judged import Harm
from monitor.errors import InvalidEvent
from tests.detection.stream.test_judged import Log, fired, verdicts
from tests.detection.stream.test_judged import row as judged_row

FOLLOWED = Followed(began_with=40, outputs=120, streams=3, actions=7, at_least=False, time=5.0)


def row(finding: str, followed: Followed = FOLLOWED) -> Control:
    return Control(action=ControlAction.FOLLOWED, stream="s", by="store", data=to_data(finding, followed))


@pytest.mark.parametrize("restart", [False, True])
def test_the_numbers_revise_the_finding_and_stay_in_all_that_follows(restart: bool) -> None:
    log = Log()
    first = fired(log)
    (revised,) = log.control(row(first.id))
    assert (revised.followed, revised.revision) == (FOLLOWED, first.revision + 1)
    assert (revised.severity, revised.title) == (first.severity, first.title)
    (judged,) = log.control(judged_row(first.id, Harm.HARMFUL))
    assert (judged.followed, judged.judged) == (FOLLOWED, verdicts(Harm.HARMFUL))
    if restart:
        log.restart()
    later = [finding for finding in log.rows(2_000) if finding.id == first.id]
    assert {finding.followed for finding in later} == {FOLLOWED}
    assert later[-1].state is State.RESOLVED


def test_only_larger_numbers_replace_known_ones() -> None:
    log = Log()
    first = fired(log)
    assert len(log.control(row(first.id))) == 1
    assert log.control(row(first.id)) == []
    assert log.control(row(first.id, msgspec.structs.replace(FOLLOWED, outputs=119, time=9.0))) == []
    (more,) = log.control(row(first.id, msgspec.structs.replace(FOLLOWED, outputs=4_000, at_least=True)))
    assert more.followed is not None
    assert more.followed.text == "From 40 outputs followed at least 4,000 outputs in 3 streams and 7 actions"
    assert log.control(row("0" * 16)) == []


def test_a_row_that_cannot_be_read_is_refused() -> None:
    log = Log()
    first = fired(log)
    with pytest.raises(InvalidEvent, match="followed"):
        log.control(Control(action=ControlAction.FOLLOWED, stream="s", data={"finding": first.id, "followed": 3}))
