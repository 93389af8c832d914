"""`Case`: one alert whose outputs are judged: what was asked, what was answered, and when it is concluded. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import Driver, State
from monitor.detection.records.judged import Judged
from monitor.judgment.matters import Tally, conclude
from monitor.judgment.records import Judgment, Sampled

OUTPUTS_A_SIDE = 20
"""Outputs that are judged of each side: enough to see a rise by a third of the outputs, at the cost of 40 verdicts."""
ASK_AFTER_S = 45.0
"""Seconds since the alert after which what there is of outputs since the change is judged: a change is found within
some outputs, so at first there are few. With the next figure this is below the two minutes within which an alert is to
say whether it matters."""
ANSWER_WITHIN_S = 60.0
"""Seconds for the verdicts, from when they were asked for."""


def is_asked_about(alert: Alert) -> bool:
    """Whether a transition opens an alert about outputs that changed: what verdicts on outputs can explain."""
    opens = alert.state is State.FIRING and not alert.revision
    return opens and alert.judged is None and alert.driver is Driver.OUTPUT


class Case:
    """One alert. Times are seconds since 1970, given by the caller.

    Parameters
    ----------
    alert
        A firing alert.
    criteria
        Names of the criteria by which its outputs are judged.
    since
        When the alert entered the log.

    Attributes
    ----------
    alert, criteria
        As given.
    asked
        Whether the questions were sent.
    """

    def __init__(self, alert: Alert, criteria: Sequence[str], since: float) -> None:
        self.alert = alert
        self.criteria = tuple(criteria)
        self.asked = False
        self._ask_at = since + ASK_AFTER_S
        self._answer_by = 0.0
        self._wanted: set[tuple[str, str]] = set()
        self._questions: dict[str, int] = {}
        self._tallies: dict[str, Tally] = {}
        self._lacking = ""

    def is_due(self, now: float) -> bool:
        """Whether the outputs are judged now, however few there are."""
        return now >= self._ask_at

    def ask(self, questions: Sequence[Sampled], lacking: str, now: float) -> None:
        """These questions were sent; `lacking` says why there are not more of them."""
        self.asked, self._answer_by, self._lacking = True, now + ANSWER_WITHIN_S, lacking
        self._wanted = {(question.event, name) for question in questions for name in self.criteria}
        events = {question.event for question in questions}
        self._questions = dict.fromkeys(self.criteria, len(events))

    def take(self, judgment: Judgment) -> None:
        """A verdict for this alert. One that was not asked for, or came before, counts for nothing."""
        key = (judgment.event, judgment.criterion)
        if key in self._wanted:
            self._wanted.remove(key)
            self._tallies.setdefault(judgment.criterion, Tally()).add(judgment)

    def is_over(self, now: float) -> bool:
        """Whether all is answered, or the time for it is over."""
        return self.asked and (not self._wanted or now >= self._answer_by)

    def concluded(self) -> Judged:
        """What the verdicts say."""
        return conclude(self._tallies, self._questions, lacking=self._lacking)
