"""One run of the demo: broker, topics, worker, traffic, fault, and the wait for the alert."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml
from kafka import KafkaConsumer, TopicPartition
from rich.text import Text

from monitor.alerting.alert import Alert, decode, is_update
from monitor.demo.assistant import ANSWER, OBJECTIVES, TRIAGE, SupportAssistant
from monitor.demo.broker_process import free_port
from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.demo.faults import Fault
from monitor.demo.metrics import WorkerMetrics
from monitor.demo.screen import Screen, View
from monitor.demo.traffic import Traffic
from monitor.demo.worker_process import WorkerProcess
from monitor.detection.records.finding import State
from monitor.detection.settings import DetectionSettings
from monitor.publisher import OutputPublisher
from monitor.settings import Broker, Settings
from monitor.sinks.log.terminal_block import AlertBlock
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from pipelines.kafka.connection import client_options
from pipelines.kafka.topics import ensure_topics, private_topics, temporary_topics

LONGEST_TO_THE_POINT = 80
"""Words: one answer in fifty is longer before the silent update, and most are after it."""
_ERRS = 0.03
"""Share of the scripted evaluator's verdicts that are wrong, in each direction: real ones err as well."""
_LOOK_EVERY_S = 0.25  # an alert is shown a quarter of a second late at most
_METRICS_EVERY_S = 1.0  # metrics change with a checkpoint, every few seconds: a second is soon enough
_AFTERMATH_S = 12.0
"""How long the metrics are given after the alert to show it too: a checkpoint's interval, and a little."""
_FAST = 45.0
_FAST_HEALTHY_S = 25.0
"""What is usual of volume takes a quarter of an hour to learn, and an objective is missed over many minutes: for such
faults time goes by faster."""
CONFIG: dict[str, Any] = {"streams": [{"match": ANSWER, "slo": OBJECTIVES}]}
"""The worker's only settings: objectives, which only operators can know."""
JUDGED: dict[str, Any] = {
    "name": "to_the_point",
    "pass": f"answers the customer in at most {LONGEST_TO_THE_POINT} words",
    "evaluator": "scripted",
    "sample": {"uniform": 0.02},
}
"""The criterion with `Plan.judged`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen. Nothing here reaches the worker, which runs with its defaults, and objectives (`CONFIG`).

    `healthy_s` is the least time before the fault; it also waits until the monitor has learned what is normal. With
    `judged` a scripted evaluator judges outputs by `JUDGED`, and the run goes on until the alert says what came out.
    """

    fault: Fault = Fault.SILENT_UPDATE
    rate: float = 150.0
    healthy_s: float = 25.0
    duration_s: float = 115.0
    seed: int = 7
    judged: bool = False

    @property
    def watched(self) -> str:
        """The stream that the fault strikes."""
        return TRIAGE if self.fault is Fault.FORMAT_BREAK else ANSWER

    @property
    def speed(self) -> float:
        """Seconds of the events' time in a second of the clock's."""
        return _FAST if self.fault.is_slow else 1.0

    @property
    def fault_after_s(self) -> float:
        """The least time before the fault: longer where what is usual takes long to learn."""
        return max(self.healthy_s, _FAST_HEALTHY_S) if self.fault.is_slow else self.healthy_s


@dataclass(slots=True)
class Outcome:
    """What came of it. Times in seconds; `events_to_alert` counts the struck stream's events since the fault.

    `judged` is the revision of the alert that says whether outputs became worse.
    """

    fault: Fault
    duration_s: float = 0.0
    events: int = 0
    alert: Alert | None = None
    judged: Alert | None = None
    alert_after_start_s: float | None = None
    alert_after_fault_s: float | None = None
    events_to_alert: int | None = None
    other_alerts: list[Alert] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)

    @property
    def as_hoped(self) -> bool:
        """The fault raised its alert; or nothing was wrong and nothing was raised."""
        if self.fault is Fault.NONE:
            return self.alert is None and not self.other_alerts
        return self.alert is not None

    def summary(self) -> str:
        """One sentence for the end."""
        if self.fault is Fault.NONE:
            verdict = "nothing was raised" if self.as_hoped else f"{len(self.other_alerts)} false alerts"
            return f"{self.events:,} outputs in {self.duration_s:.0f} s, nothing was wrong, and {verdict}."
        if self.alert is None:
            return f"{self.events:,} outputs in {self.duration_s:.0f} s, and no alert for {self.fault.value}."
        where = f", at output {self.events_to_alert} of {self.alert.stream} since then," if self.events_to_alert else ""
        return (
            f"{self.fault.value} was called out {self.alert_after_fault_s:.1f} s after it began{where} and "
            f"{self.alert_after_start_s:.0f} s after the start."
            + (f" {self.judged.judged.text}" if self.judged and self.judged.judged else "")
        )

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "fault": self.fault.value,
            "as_hoped": self.as_hoped,
            "duration_s": round(self.duration_s, 1),
            "events": self.events,
            "alert_after_start_s": self.alert_after_start_s and round(self.alert_after_start_s, 1),
            "alert_after_fault_s": self.alert_after_fault_s and round(self.alert_after_fault_s, 1),
            "events_to_alert": self.events_to_alert,
            "alert": msgspec.to_builtins(self.alert) if self.alert else None,
            "judged": msgspec.to_builtins(self.judged.judged) if self.judged else None,
            "other_alerts": [msgspec.to_builtins(alert) for alert in self.other_alerts],
            "metrics": self.metrics,
        }


def run_demo(plan: Plan, screen: Screen, broker: Broker | None = None) -> Outcome:
    """Run the plan and return what came of it.

    Parameters
    ----------
    broker
        A Kafka to go through, on topics of the demo's own that are deleted afterwards; the embedded broker where None.

    Raises `BrokerError` where a broker or the worker does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oqm-demo-")))
        config = stack.enter_context(_config(plan, folder))
        settings, arguments = stack.enter_context(_kafka(broker, folder, config))
        worker = stack.enter_context(
            WorkerProcess(arguments, _environment(settings.broker), free_port(), folder / "worker.log")
        )
        options = client_options(settings.broker)
        servers = options.pop("bootstrap_servers")
        publisher = OutputPublisher(servers, settings.topics.outputs.name, kafka=options)
        stack.callback(publisher.close)
        consumer = stack.enter_context(_alerts(settings))
        traffic = Traffic(
            SupportAssistant(plan.seed), publisher.publish, plan.rate, plan.fault, plan.speed, plan.duration_s
        )
        stack.enter_context(screen)
        traffic.start()
        stack.callback(traffic.stop)
        return _watch(plan, screen, settings, worker, consumer, traffic)


def _watch(
    plan: Plan, screen: Screen, settings: Settings, worker: WorkerProcess, consumer: KafkaConsumer, traffic: Traffic
) -> Outcome:
    outcome = Outcome(plan.fault)
    view = View(broker=settings.broker.bootstrap, watched=plan.watched)
    metrics = WorkerMetrics()
    began = time.monotonic()
    metrics_due = 0.0
    end = plan.duration_s
    screen.say(f"A support assistant publishes about {plan.rate:.0f} outputs a second; the monitor learns its normal.")
    if plan.speed > 1.0:
        screen.say(f"This takes minutes to show: a second here is {plan.speed:.0f} of the events'.")
    while (elapsed := time.monotonic() - began) < end:
        traffic.check()
        worker.check()
        if elapsed >= metrics_due:
            metrics_due = elapsed + _METRICS_EVERY_S
            metrics = WorkerMetrics.parse(worker.metrics() or "")
        for alert in _poll(consumer):
            _note(alert, plan, outcome, traffic, elapsed, screen)
            awaited = outcome.judged if plan.judged else outcome.alert
            if awaited is not None and end == plan.duration_s:
                end = min(plan.duration_s, elapsed + _AFTERMATH_S)
        # A loop shows in no metric of the stream: each of its outputs looks right.
        drifts = metrics.state(plan.watched) == "drift" or plan.fault is Fault.AGENT_LOOP
        shown = drifts and (not plan.judged or outcome.judged is not None)
        if outcome.alert is not None and shown:
            break
        learned = metrics.state(plan.watched) in ("stable", "drift")
        if traffic.fault_at is None and plan.fault is not Fault.NONE and learned and elapsed >= plan.fault_after_s:
            traffic.start_fault()
            screen.say(Text.assemble((f"{elapsed:.0f} s  {plan.fault.value}: ", "bold yellow"), plan.fault.story))
        _fill(view, elapsed, plan, traffic, metrics, outcome)
        screen.show(view)
    outcome.duration_s = elapsed
    outcome.events = traffic.published
    changed = [change.name for change in outcome.alert.changes[:2]] if outcome.alert is not None else []
    outcome.metrics = WorkerMetrics.parse(worker.metrics() or "").excerpt(plan.watched, changed)
    return outcome


def _note(alert: Alert, plan: Plan, outcome: Outcome, traffic: Traffic, elapsed: float, screen: Screen) -> None:
    """Take an alert for the one that was hoped for, or for another."""
    screen.say(AlertBlock(alert))
    if alert.judged is not None and outcome.alert is not None and alert.id == outcome.alert.id:
        outcome.judged = outcome.judged or alert
        return
    if alert.state is not State.FIRING or is_update(alert):
        return
    began = traffic.fault_time
    caused = began is not None and (alert.raised_at.time or 0.0) >= began and alert.stream == plan.watched
    if began is None or outcome.alert is not None or not caused:
        outcome.other_alerts.append(alert)
        return
    outcome.alert = alert
    outcome.alert_after_start_s = elapsed
    outcome.alert_after_fault_s = time.time() - (traffic.fault_at or 0.0)
    outcome.events_to_alert = traffic.since_fault.get(alert.raised_at.event_id or "")


def _phase(metrics: WorkerMetrics, stream: str) -> str:
    """What the worker does with the stream before the fault; the demo's worker has the default warm-up."""
    state = metrics.state(stream)
    if state == "warming":
        learns = DetectionSettings().warmup
        return f"learning what is normal: {min(metrics.events(stream), learns)} of {learns} events"
    return "the worker is starting" if state == "unknown" else "watching"


def _fill(view: View, elapsed: float, plan: Plan, traffic: Traffic, metrics: WorkerMetrics, outcome: Outcome) -> None:
    view.elapsed_s = elapsed
    view.published = traffic.published
    view.latest = list(traffic.latest)
    view.streams = {stream: metrics.state(stream) for stream in (ANSWER, TRIAGE)}
    view.features = metrics.features(plan.watched)
    if outcome.alert is not None:
        view.phase = "alert"
    elif traffic.fault_at is not None:
        view.phase = f"fault {plan.fault.value} for {time.time() - traffic.fault_at:.0f} s"
    else:
        view.phase = _phase(metrics, plan.watched)


@contextmanager
def _config(plan: Plan, folder: Path) -> Iterator[dict[str, Any]]:
    """The worker's settings, and the evaluator that they name."""
    if plan.fault is Fault.AGENT_LOOP:  # what follows from what is in the trace store
        yield {**CONFIG, "store": {"location": str(folder / "traces")}}
        return
    if not plan.judged:
        yield CONFIG
        return
    with ScriptedEvaluator(
        fails=lambda output: len(output.split()) > LONGEST_TO_THE_POINT, sensitivity=1 - _ERRS, specificity=1 - _ERRS
    ) as evaluator:
        [stream] = CONFIG["streams"]
        scripted = {"kind": "chat", "name": "scripted", "url": evaluator.url, "model": "scripted"}
        yield {"streams": [{**stream, "criteria": [JUDGED]}], "evaluators": [scripted]}


@contextmanager
def _kafka(broker: Broker | None, folder: Path, config: Mapping[str, Any]) -> Iterator[tuple[Settings, list[str]]]:
    """Settings with a broker and its topics, and the arguments that take a worker to them."""
    file = folder / "demo.yaml"
    if broker is None:
        with EmbeddedBroker() as embedded:
            settings = Settings(broker=Broker(bootstrap=embedded.address))
            file.write_text(yaml.safe_dump(dict(config)))
            ensure_topics(settings.broker, settings.topics)
            yield settings, ["--config", str(file), "--session-timeout", str(embedded.session_timeout_s)]
        return
    # A cluster that others use: private topics, deleted afterwards.
    topics = private_topics(Settings().topics, f"demo-{uuid.uuid4().hex[:8]}")
    settings = Settings(broker=broker, topics=topics)
    file.write_text(yaml.safe_dump({**config, "topics": topics.model_dump(mode="json")}))
    with temporary_topics(broker, topics):
        yield settings, ["--config", str(file)]


def _environment(broker: Broker) -> dict[str, str]:
    """The connection as `oqm` reads it from the environment: a password is not for the command line."""
    values = {
        "OQM_BROKER": broker.bootstrap,
        "OQM_SECURITY_PROTOCOL": broker.security,
        "OQM_SASL_MECHANISM": broker.sasl.mechanism if broker.sasl.username or broker.sasl.token_provider else None,
        "OQM_SASL_USERNAME": broker.sasl.username,
        "OQM_SASL_PASSWORD": broker.sasl.password.get_secret_value() if broker.sasl.password else None,
        "OQM_SASL_OAUTH_TOKEN_PROVIDER": broker.sasl.token_provider,
        "OQM_SSL_CAFILE": broker.ssl.ca_file,
        "OQM_SSL_CERTFILE": broker.ssl.cert_file,
        "OQM_SSL_KEYFILE": broker.ssl.key_file,
    }
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _alerts(settings: Settings) -> Iterator[KafkaConsumer]:
    """A consumer of all alerts from the first on, without a group and so without waiting for one."""
    consumer = KafkaConsumer(
        **client_options(settings.broker), client_id="oqm-demo", enable_auto_commit=False, group_id=None
    )
    try:
        topic = settings.topics.alerts
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        yield consumer
    finally:
        consumer.close()


def _poll(consumer: KafkaConsumer) -> Iterator[Alert]:
    for records in consumer.poll(timeout_ms=int(_LOOK_EVERY_S * 1000)).values():
        for record in records:
            yield decode(record.value)
