"""The stages of a worker, built as its settings say.

What a reload may change (`pipelines.reload`) is looked up at each use, by `current`; the rest is taken once, here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.criteria.derived import FEEDBACK
from monitor.detection import Finding
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from monitor.sinks.base import Sink
from pipelines.build import dispatch_for, featurizer_for, partition_monitor, watched_features
from pipelines.feature_log.ticks import EventTimeTicks
from pipelines.kafka.ordered_buffer import OrderedBuffer
from pipelines.kafka.topics import TopicFacts
from pipelines.roles import Role
from pipelines.stages.anchors import AnchorDesk
from pipelines.stages.base import Stage, StageServices
from pipelines.stages.detect import Detect
from pipelines.stages.draw import output_draw
from pipelines.stages.featurize import EventReader, Featurize
from pipelines.stages.feedback import FeedbackReader, FeedbackRows
from pipelines.stages.judged import JudgedOutputs, JudgmentReader
from pipelines.stages.notify.couriers import Couriers, Timing
from pipelines.stages.notify.outbox import Outbox
from pipelines.stages.notify.stage import AlertPolicy, Notify
from pipelines.state.anchor_states import AnchorStates
from pipelines.state.checkpoint import DetectCheckpoint
from pipelines.state.positions import Positions

ALERTS_BATCH = 100
"""Alerts in one batch of notify: few come, and each batch waits for one write to the outbox."""
NO_LINGER_S = 0.0
"""For detect and notify: what has arrived is applied, and while it is, more arrives."""


@dataclass(frozen=True)
class ReplayMode:
    """A worker of a replay: the time in the log comes from the events, not from the clock.

    Each topic must have one partition. `on_findings` is called with findings once their alerts are confirmed.
    """

    on_findings: Callable[[list[Finding]], None]


@dataclass(frozen=True)
class ConsumerHooks:
    """What stages ask of the consumer that feeds them.

    Attributes
    ----------
    on_gap
        Called with topic, partition and offset when a later offset than the expected one has come.
    is_owner
        Whether the worker surely still owns its partitions.
    """

    on_gap: Callable[[str, int, int], None]
    is_owner: Callable[[], bool]


class StageBuilder:
    """Builds the stages of one worker.

    Parameters
    ----------
    services
        Shared by all stages of the worker.
    current
        The settings as they are now.
    hooks
        What stages ask of the consumer.
    sinks
        Where notify delivers.
    replay
        For the worker of a replay.
    """

    def __init__(
        self,
        services: StageServices,
        current: Callable[[], Settings],
        hooks: ConsumerHooks,
        sinks: Sequence[Sink],
        replay: ReplayMode | None,
    ) -> None:
        self._services = services
        self._current = current
        self._settings = current()
        self._hooks = hooks
        self._sinks = sinks
        self._replay = replay

    def build(self, roles: Collection[Role]) -> dict[str, Stage]:
        """The stages of these roles by name, in the order in which events pass them. Loads models: takes seconds.

        With detect come the stage that makes rows of users' feedback and, where a criterion is judged, the one that
        makes rows of judgments.
        """
        stages: dict[str, Stage] = {}
        featurizer = featurizer_for(self._settings)
        if Role.FEATURIZE in roles:
            stages[Role.FEATURIZE] = self._featurize(featurizer)
        if Role.DETECT in roles and self._settings.judged and self._replay is None:
            stages[JudgedOutputs.name] = self._judged(featurizer)
        if Role.DETECT in roles and self._replay is None:
            stages[FeedbackRows.name] = self._feedback()
        if Role.DETECT in roles:
            stages[Role.DETECT] = self._detect(featurizer)
        if Role.NOTIFY in roles:
            stages[Role.NOTIFY] = self._notify()
        return stages

    def _buffer(self, source: TopicFacts, batch: int, linger_s: float) -> OrderedBuffer:
        def gap(partition: int, offset: int) -> None:
            self._hooks.on_gap(source.name, partition, offset)

        return OrderedBuffer(batch, linger_s, gap)

    def _positions(self, source: TopicFacts) -> Positions:
        return Positions(self._settings.broker, self._services.producer, self._services.topics, source)

    def _featurize(self, featurizer: Featurizer) -> Featurize:
        topics, options = self._services.topics, self._settings.worker
        ticks = None if self._replay is None else EventTimeTicks()
        return Featurize(
            self._services,
            self._buffer(topics.outputs, options.featurize_batch, options.featurize_linger),
            EventReader(
                featurizer,
                topics.outputs,
                topics.features.partitions,
                ticks,
                None if self._replay is not None else output_draw(self._settings, featurizer.specs, topics),
            ),
            self._positions(topics.outputs),
        )

    def _judged(self, featurizer: Featurizer) -> JudgedOutputs:
        topics, settings, services = self._services.topics, self._settings, self._services
        states = AnchorStates(settings.broker, services.producer, topics)
        return JudgedOutputs(
            services,
            self._buffer(topics.judgments, settings.worker.detect_batch, NO_LINGER_S),
            JudgmentReader(topics.judgments, topics.features.partitions, excerpts=settings.features.excerpts),
            self._positions(topics.judgments),
            AnchorDesk(settings.judged, topics, states),
            self._alerts(featurizer),
        )

    def _feedback(self) -> FeedbackRows:
        topics, settings = self._services.topics, self._settings
        reader = FeedbackReader(topics.feedback, topics.features.partitions, excerpts=settings.features.excerpts)
        buffer = self._buffer(topics.feedback, settings.worker.detect_batch, NO_LINGER_S)
        return FeedbackRows(self._services, buffer, reader, self._positions(topics.feedback))

    def _alerts(self, featurizer: Featurizer) -> Callable[[Finding], Alert]:
        """Makes the alert of a finding, with the owner and links that the settings have by then."""
        by_name = {spec.name: spec for spec in (*watched_features(self._settings, featurizer.specs), FEEDBACK)}

        def alert(finding: Finding) -> Alert:
            now = self._current()
            stream = now.for_stream(finding.stream)
            return from_finding(finding, owner=stream.owner, route=stream.route, links=now.links, specs=by_name)

        return alert

    def _detect(self, featurizer: Featurizer) -> Detect:
        settings, services = self._settings, self._services
        specs = featurizer.specs
        return Detect(
            services,
            self._buffer(services.topics.features, settings.worker.detect_batch, NO_LINGER_S),
            monitor=lambda: partition_monitor(settings, specs, current=self._current),
            alert=self._alerts(featurizer),
            checkpoint=DetectCheckpoint(settings.broker, services.producer, services.topics),
            checkpoint_every_s=settings.worker.checkpoint_interval,
            on_findings=None if self._replay is None else self._replay.on_findings,
        )

    def _notify(self) -> Notify:
        settings, services = self._settings, self._services
        outbox = Outbox(settings.broker, services.topics.outbox.name, services.producer)
        return Notify(
            services,
            self._buffer(services.topics.alerts, ALERTS_BATCH, NO_LINGER_S),
            settings.broker,
            self._positions(services.topics.alerts),
            outbox,
            Couriers(
                self._sinks, settings.delivery, outbox, services.stats, self._hooks.is_owner, Timing(services.clock)
            ),
            AlertPolicy(
                new_dispatch=lambda: dispatch_for(self._current()),
                budget=lambda stream: self._current().for_stream(stream).detection.alert_budget,
            ),
        )
