"""`Case`: one alert whose outputs are judged: what was asked, what was answered, and when it is concluded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from monitor.alerting.alert import Alert
from monitor.detection.records.finding import Driver, State
from monitor.detection.records.judged import Harm, Judged
from monitor.judgment.matters import LOOKS, Tally, conclude
from monitor.judgment.records import Judgment, Sampled

ASK_AFTER_S = 45.0
"""Seconds since the alert after which what there is of outputs since the change is judged: a change is found within
some outputs, so at first there are few. With the next figure this is below the two minutes within which an alert is to
say whether it matters."""
ANSWER_WITHIN_S = 60.0
"""Seconds for the verdicts, from when they were asked for."""
SECOND_LOOK_WITHIN_S = 86_400.0
"""How long outputs for the second look are waited for: a stream of three outputs an hour has them by then, and later
the alert has been dealt with."""
LOOK_EVERY_S = (3.0, 60.0)
"""Between two looks for more outputs since the change, of the first and of the second look."""


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
        When the alert entered the log; of a second look, when the first could not tell.
    look
        Which of `monitor.judgment.matters.LOOKS` it is at, from 1: 2 where another worker made the first. Then all
        outputs of the second look are asked about, as the first one's verdicts are not here.

    Attributes
    ----------
    alert, criteria, look
        As given; `look` goes on.
    asked
        Whether the questions of this look were sent.
    """

    def __init__(self, alert: Alert, criteria: Sequence[str], since: float, look: int = 1) -> None:
        self.alert = alert
        self.criteria = tuple(criteria)
        self.look = look
        self.asked = False
        self._ask_by = since + (ASK_AFTER_S if look == 1 else SECOND_LOOK_WITHIN_S)
        self._answer_by = 0.0
        self._look_at = since
        self._wanted: set[tuple[str, str]] = set()
        self._events: set[str] = set()
        self._tallies: dict[str, Tally] = {}
        self._lacking = ""

    @property
    def outputs(self) -> int:
        """How many outputs of each side are wanted."""
        return LOOKS[self.look - 1].outputs

    @property
    def events(self) -> AbstractSet[str]:
        """Ids of the outputs that were asked about."""
        return self._events

    def looks_now(self, now: float) -> bool:
        """Whether it is time to look for outputs, of which the next time is noted."""
        if self.asked or now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_S[self.look - 1]
        return True

    def is_due(self, now: float) -> bool:
        """Whether the outputs are judged now, however few there are: at the first look."""
        return self.look == 1 and now >= self._ask_by

    def is_given_up(self, now: float) -> bool:
        """Whether the outputs of a second look have not come in time; what was said stands."""
        return self.look > 1 and not self.asked and now >= self._ask_by

    def ask(self, questions: Sequence[Sampled], lacking: str, now: float) -> None:
        """These questions were sent; `lacking` says why there are not more of them."""
        self.asked, self._answer_by, self._lacking = True, now + ANSWER_WITHIN_S, lacking
        fresh = {question.event for question in questions} - self._events
        self._wanted |= {(event, name) for event in fresh for name in self.criteria}
        self._events |= fresh

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
        asked = dict.fromkeys(self.criteria, len(self._events))
        return conclude(self._tallies, asked, lacking=self._lacking, look=self.look)

    def goes_on(self, judged: Judged, now: float) -> bool:
        """Begin the next look where this one could not tell; whether there is one."""
        if judged.harm is not Harm.CANNOT_TELL or self.look == len(LOOKS):
            return False
        self.look, self.asked, self._look_at = self.look + 1, False, now
        self._ask_by = now + SECOND_LOOK_WITHIN_S
        return True
