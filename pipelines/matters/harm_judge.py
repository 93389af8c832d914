"""`HarmJudge`: a thread of the role judge that has outputs around each output change judged, and says what came out.

It reads `oqm.alerts` in a consumer group. For an alert of a stream with judged criteria it sends questions to
`oqm.sampled` (purpose diagnostic), as any output that is drawn; the evaluators answer on `oqm.judgments` under the same
limits, and the conclusion goes as a control row to the stream's detect partition, which reports it as a revision of the
alert. The group's position moves past an alert once that row is confirmed: after a crash the alert is taken again, and
detection ignores a second conclusion.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.criteria.criterion import Criterion
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import State
from monitor.detection.records.judged import Judged, to_data
from monitor.detection.records.log_format import encode_control, partition_for
from monitor.errors import BrokerError, InvalidEvent
from monitor.judgment.matters import LOOKS
from monitor.judgment.records import Purpose, Side, decode_judgment
from monitor.settings import Settings
from pipelines.kafka.connection import client_options
from pipelines.kafka.topics import LARGEST_EVENT_BYTES, TopicMap
from pipelines.matters.case import SECOND_LOOK_WITHIN_S, Case, is_asked_about
from pipelines.matters.questions import questions
from pipelines.matters.rows_around import Sides, StreamRows
from pipelines.matters.second_looks import waiting, waits_for_second_look
from pipelines.stages.draw import fitting

log = logging.getLogger(__name__)

POLL_MS = 100  # longest wait for alerts, and for verdicts: how soon the thread sees that it shall stop
OLDEST_ALERT_S = 3_600.0
"""An alert that entered the log longer ago is not judged: who had it has looked by now."""
MOST_CRITERIA = 3
"""Criteria by which the outputs of one alert are judged, the first in the settings: each costs 40 to 120 verdicts."""
MOST_AN_HOUR = 30
"""Alerts that are judged in an hour, as one fault may change hundreds of streams: 1,200 to 3,600 verdicts for each
criterion."""
MOST_CASES = 200
"""Alerts whose outputs are waited for at the same time: each takes a look at its partition of the log a minute. The
oldest are given up first; what was said of them stands."""
MOST_DONE = 1_000
"""Ids of alerts that are remembered as dealt with, since a revision of their figures may come before that of the
conclusion: of the last hours."""
HOUR_S = 3_600.0
DELIVERY_S = 60.0  # for the broker to confirm what is sent; then the worker ends, and the alert is taken again

Place = tuple[TopicPartition, int]


class HarmJudge:
    """Runs until it is stopped. `start` returns at once.

    Parameters
    ----------
    current
        The settings as they are now.
    topics
        The topics as they are on the broker.
    failed
        Called from the thread with the error that ended it.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        current: Callable[[], Settings],
        topics: TopicMap,
        failed: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._current = current
        self._topics = topics
        self._failed = failed
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-harm", daemon=True)
        self._cases: dict[Place, Case] = {}
        self._rows: dict[Place, StreamRows] = {}
        self._judged_at: deque[float] = deque()
        self._committed: dict[TopicPartition, int] = {}
        self._assigned: set[TopicPartition] = set()  # of which the alerts that wait for a second look are not read yet
        self._done: dict[str, None] = {}  # ids of alerts that are concluded or given up, the oldest first
        self._consumers: list[Any] = []
        self._producer: Any = None

    def start(self) -> None:
        """Begin to read alerts."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is not concluded is taken up by the next owner. Blocks until the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._failed(BrokerError(f"judging alerts: Kafka: {error}") if isinstance(error, KafkaError) else error)
        finally:
            for consumer in self._consumers:
                consumer.close(autocommit=False)
            if self._producer is not None:
                self._producer.close(timeout=DELIVERY_S)

    def _work(self) -> None:
        broker = self._current().broker
        self._producer = KafkaProducer(
            **client_options(broker), client_id="oqm-harm", acks="all", max_request_size=LARGEST_EVENT_BYTES
        )
        verdicts = self._consumer(None)
        judged = self._topics.judgments
        verdicts.assign([TopicPartition(judged.name, number) for number in range(judged.partitions)])
        verdicts.seek_to_end()
        for where in verdicts.assignment():
            verdicts.position(where)  # the seek takes effect here: before the first question is sent
        features = self._consumer(None)
        incoming = self._consumer(f"{self._topics.outputs.name}.harm")
        incoming.subscribe([self._topics.alerts.name], listener=_Owned(self._cases, self._rows, self._assigned))
        while not self._stop.is_set():
            polled = incoming.poll(timeout_ms=POLL_MS)
            while self._assigned:
                self._find_waiting(self._assigned.pop(), incoming, features)
            for where, records in polled.items():
                for record in records:
                    self._alert((where, record.offset), record.value, record.timestamp / 1000.0, features)
            for records in verdicts.poll(timeout_ms=POLL_MS if self._cases else 0).values():
                for record in records:
                    self._verdict(record.value)
            self._go_on()
            self._commit(incoming)

    def _consumer(self, group: str | None) -> Any:
        consumer: Any = KafkaConsumer(
            **client_options(self._current().broker),
            client_id="oqm-harm",
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._consumers.append(consumer)
        return consumer

    def _alert(self, place: Place, value: bytes | None, since: float, features: Any) -> None:
        try:
            alert = alerts.decode(value or b"")
        except msgspec.DecodeError:  # a person's annotation, or a record of another version
            return
        if alert.state is State.RESOLVED:
            self._forget([one for one, case in self._cases.items() if case.alert.id == alert.id])
        if is_asked_about(alert) and self._clock() - since <= OLDEST_ALERT_S:
            self._take(place, alert, since, features)
        elif waits_for_second_look(alert) and self._clock() - since <= SECOND_LOOK_WITHIN_S:
            # The first look was another worker's, which is gone.
            self._take(place, alert, since, features, look=2)

    def _find_waiting(self, where: TopicPartition, incoming: Any, features: Any) -> None:
        """Take up the second looks of a partition that was given to this worker."""
        for one in waiting(features, where, incoming.position(where), self._clock()):
            self._take((where, one.offset), one.alert, one.since, features, look=2)

    def _take(self, place: Place, alert: Alert, since: float, features: Any, look: int = 1) -> None:
        if alert.id in self._done or any(case.alert.id == alert.id for case in self._cases.values()):
            return
        criteria = [criterion.name for criterion in judged_criteria(self._current(), alert)]
        if not criteria or not self._may_judge(alert):
            return
        log.info("alert %s in %r: outputs before and after it are judged by %s", alert.id, alert.stream, criteria)
        rows = StreamRows(features, self._topics, alert)
        rows.look_back(LOOKS[-1].outputs)
        self._forget(list(self._cases)[: max(0, len(self._cases) + 1 - MOST_CASES)])
        self._cases[place], self._rows[place] = Case(alert, criteria, since, look), rows

    def _forget(self, places: Iterable[Place]) -> None:
        for place in places:
            self._done[self._cases[place].alert.id] = None
            del self._cases[place], self._rows[place]
        while len(self._done) > MOST_DONE:
            del self._done[next(iter(self._done))]

    def _may_judge(self, alert: Alert) -> bool:
        """Whether this hour's limit leaves room for one more."""
        now = self._clock()
        while self._judged_at and now - self._judged_at[0] >= HOUR_S:
            self._judged_at.popleft()
        if len(self._judged_at) >= MOST_AN_HOUR:
            log.warning("alert %s is not judged: %d were in the last hour, which is the limit", alert.id, MOST_AN_HOUR)
            return False
        self._judged_at.append(now)
        return True

    def _verdict(self, value: bytes | None) -> None:
        # A look at the bytes: nearly all verdicts are of the sample, and not decoded here.
        if value is None or not self._cases or Purpose.DIAGNOSTIC.value.encode() not in value:
            return
        try:
            judgment = decode_judgment(value)
        except InvalidEvent:  # the store counts it
            return
        for case in self._cases.values():
            if judgment.finding == case.alert.id and judgment.purpose is Purpose.DIAGNOSTIC:
                case.take(judgment)

    def _go_on(self) -> None:
        """Ask for what has enough outputs or is due; conclude what is answered or whose time is over."""
        now = self._clock()
        for place, case in list(self._cases.items()):
            if case.is_given_up(now):
                self._forget([place])
                continue
            if case.looks_now(now):
                rows = self._rows[place]
                rows.go_on()
                sides = rows.sides(case.outputs, case.events)
                if sides.have_come or case.is_due(now):
                    self._ask(case, sides)
            if case.is_over(now) and not case.goes_on(self._conclude(case, now), now):
                self._forget([place])

    def _ask(self, case: Case, sides: Sides) -> None:
        alert = case.alert
        asked = questions(self._current(), self._topics, alert.id, alert.stream, case.criteria, sides.rows)
        gone = sum(map(len, sides.rows.values())) - len(asked)
        lacking = sides.lacking
        if gone:
            lacking += f"{'; ' if lacking else ''}{gone} outputs without a text that is kept"
        # Noted before they are sent: a verdict may come before the send returns.
        case.ask(asked, lacking, self._clock())
        name = self._topics.sampled.name
        self._send([(name, one.event.encode("utf-8", "replace"), fitting(one), None) for one in asked])
        before = sum(one.side is Side.BEFORE for one in asked)
        log.info("alert %s: %d outputs before and %d after asked for", alert.id, before, len(asked) - before)

    def _conclude(self, case: Case, now: float) -> Judged:
        alert, judged = case.alert, case.concluded()
        self._send([self._control(alert, judged, now)])
        log.info("alert %s in %r: %s", alert.id, alert.stream, judged.text)
        return judged

    def _control(self, alert: Alert, judged: Judged, now: float) -> tuple[str, None, bytes, int]:
        control = Control(
            action=ControlAction.JUDGED, stream=alert.stream, time=now, by="judge", data=to_data(alert.id, judged)
        )
        features = self._topics.features
        return features.name, None, encode_control(control), partition_for(alert.stream, features.partitions)

    def _send(self, messages: Iterable[tuple[str, bytes | None, bytes, int | None]]) -> None:
        """Topic, key, value and partition of each; returns once the broker has confirmed all."""
        sent = [
            self._producer.send(topic, value, key=key, partition=partition) for topic, key, value, partition in messages
        ]
        for future in sent:
            future.get(DELIVERY_S)

    def _commit(self, incoming: Any) -> None:
        """The group's position: before the first alert of which nothing is concluded.

        A second look does not hold it: that it is to come is in the log of alerts (`second_looks`).
        """
        offsets = {}
        for where in incoming.assignment():
            waiting = [place[1] for place, case in self._cases.items() if place[0] == where and case.look == 1]
            position = min(waiting, default=incoming.position(where))
            if position != self._committed.get(where):
                offsets[where] = OffsetAndMetadata(position, "", -1)
                self._committed[where] = position
        if offsets:
            incoming.commit(offsets)


def judged_criteria(settings: Settings, alert: Alert) -> list[Criterion]:
    """The criteria by which the outputs of an alert are judged; none for streams derived from others."""
    if alert.stream.startswith("~"):
        return []
    return [criterion for criterion in settings.criteria_of(alert.stream) if criterion.judged][:MOST_CRITERIA]


class _Owned(ConsumerRebalanceListener):  # type: ignore[misc]
    """Cases of partitions that go to another worker are that worker's: it takes their alerts again."""

    def __init__(self, cases: dict[Place, Case], rows: dict[Place, StreamRows], assigned: set[TopicPartition]) -> None:
        self._cases = cases
        self._rows = rows
        self._assigned = assigned

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Forget them."""
        gone = set(revoked)
        self._assigned -= gone
        for place in [place for place in self._cases if place[0] in gone]:
            del self._cases[place], self._rows[place]

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note them; their alerts are read from the group's position on, and before it those that wait."""
        self._assigned |= set(assigned)
