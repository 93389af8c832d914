"""The monitor installed on topics of a test's own: publish, run workers as processes, read what came out."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from monitor.alerting.alert import Alert, decode
from monitor.demo.broker_process import free_port
from monitor.detection import Control, DetectionSettings, Finding
from monitor.detection.records.log_format import decode_message, partition_for
from monitor.detection.records.status import StreamStatus
from monitor.settings import Settings
from pipelines.build import featurizer_for, partition_monitor
from pipelines.kafka.connection import client_options
from pipelines.kafka.topics import LARGEST_EVENT_BYTES
from pipelines.replay.replay import pass_over
from pipelines.state.stream_status import stream_statuses

ROOT = Path(__file__).parents[2]
_TEXT = (
    "the answer depends on your plan and region please open settings choose billing then confirm with code we sent "
    "today shipping takes three days refunds need receipt number support can help further if problem stays"
)
WORDS = _TEXT.split()


def made_event(stream: str, number: int, *, long: bool, words: int = 0) -> dict[str, Any]:
    """Short answers, or long ones: a change that nobody could miss. The same number gives the same event."""
    rng = random.Random(f"{stream}/{number}")
    words = words or (rng.randint(60, 90) if long else rng.randint(8, 20))
    return {
        "id": f"{stream}-{number}",
        "stream": stream,
        "input": "where is my order " + str(rng.randint(1000, 9999)),
        "output": " ".join(rng.choice(WORDS) for _ in range(words)).capitalize() + ".",
        "model": {"name": "assistant", "version": "1"},
    }


class WorkerProcess:
    """`oqm worker` as a process of its own; `program` is the module to run, `monitor.cli` but for a test's own."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        program: Sequence[str] = ("monitor.cli",),
        metrics_port: int = 0,
    ) -> None:
        self.log = log
        self.metrics_port = metrics_port
        self.starts = 0
        self._arguments = ["-m", *program, "worker", *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._started_at = log.tell()
            self.starts += 1
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    @property
    def is_ready(self) -> bool:
        """Whether the process that runs now has said that it is ready."""
        return b"worker ready" in self.log.read_bytes()[self._started_at :]

    def kill(self) -> None:
        """kill -9: no chance to finish anything."""
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 30.0) -> int:
        assert self._process is not None
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of its /healthz or /readyz."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        if self.running:
            self.kill()


class Installation:
    """`sections`: of the configuration, as an operator would write them, beside what `settings` says itself."""

    def __init__(
        self,
        settings: Settings,
        session_timeout_s: float,
        folder: Path,
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self._sections = sections or {}
        self.session_timeout_s = session_timeout_s
        self.folder = folder
        self._workers: list[WorkerProcess] = []
        self._config = folder / "monitor.yaml"
        self._write_config()
        self._producer = KafkaProducer(
            **client_options(settings.broker), linger_ms=5, max_request_size=LARGEST_EVENT_BYTES, batch_size=2**17
        )

    def close(self) -> None:
        self._producer.close()
        for worker in self._workers:
            worker.close()

    def _write_config(self) -> None:
        parts = {"topics", "worker", "detection"}
        dumped = self.settings.model_dump(mode="json", include=parts, exclude_defaults=True)
        self._config.write_text(yaml.safe_dump({**dumped, **self._sections}))

    def with_sections(self, sections: Mapping[str, Any]) -> None:
        """Other sections of the configuration, for workers that start from now on."""
        self._sections = sections
        self._write_config()

    def change_settings(self, **detection: Any) -> None:
        """Other detection settings, for workers that start from now on."""
        changed = {**self.settings.detection.model_dump(), **detection}
        self.settings = self.settings.model_copy(update={"detection": DetectionSettings.model_validate(changed)})
        self._write_config()

    def worker(self, *roles: str, program: Sequence[str] = ("monitor.cli",)) -> WorkerProcess:
        """A worker process, started."""
        port = free_port()
        arguments = ["--broker", self.settings.broker.bootstrap, "--config", str(self._config)]
        arguments += ["--metrics-port", str(port)]
        arguments += ["--session-timeout", str(self.session_timeout_s), "--log-level", "info"]
        for role in roles:
            arguments += ["--role", role]
        worker = WorkerProcess(
            arguments, self.folder / f"worker-{len(self._workers)}.log", program=program, metrics_port=port
        )
        self._workers.append(worker)
        worker.start()
        return worker

    def ready(self, worker: WorkerProcess) -> None:
        """Wait until the worker has its partitions."""
        self.wait_for(f"{worker.log.name} ready", lambda: worker.is_ready, 90)

    def publish(self, events: Iterable[dict[str, Any]], *, rate: float | None = None) -> int:
        """Publish, at so many events a second where `rate` is given; how many."""
        started, sent = time.monotonic(), 0
        for event in events:
            self.publish_bytes(json.dumps(event).encode(), key=event["id"].encode())
            sent += 1
            if rate and (ahead := sent / rate - (time.monotonic() - started)) > 0:
                time.sleep(ahead)
        self._producer.flush()
        return sent

    def publish_bytes(
        self, value: bytes | None, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Any:
        """Hand a message to the producer; its future."""
        return self._producer.send(self.settings.topics.outputs.name, value, key=key, headers=list(headers))

    def send(self, topic: str, value: bytes, partition: int) -> None:
        """A message to any topic."""
        self._producer.send(topic, value, partition=partition).get(10)

    def partition_of(self, stream: str) -> int:
        """The stream's detect partition."""
        return partition_for(stream, self.settings.topics.features.partitions)

    def worker_output(self, number: int = 0) -> str:
        """What a worker has written so far."""
        return self._workers[number].log.read_text(errors="replace")

    def flush(self) -> None:
        self._producer.flush()

    def read(self, topic: str) -> list[ConsumerRecord]:
        """Every message of a topic, partition by partition."""
        consumer = KafkaConsumer(
            **client_options(self.settings.broker),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            group_id=None,
        )
        try:
            partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            records: dict[TopicPartition, list[ConsumerRecord]] = {p: [] for p in partitions}
            while any(consumer.position(p) < ends[p] for p in partitions):
                for partition, found in consumer.poll(timeout_ms=200).items():
                    records[partition] += found
            return [record for partition in partitions for record in records[partition]]
        finally:
            consumer.close()

    def alerts(self) -> list[Alert]:
        """Transitions on `oqm.alerts`, each once, in order."""
        alerts = (decode(record.value) for record in self.read(self.settings.topics.alerts.name))
        return list({alert.transition: alert for alert in alerts}.values())

    def controls(self, stream: str) -> list[Control]:
        """Control rows of a stream in the features log."""
        contents = (decode_message(record.value) for record in self.read(self.settings.topics.features.name))
        return [content for content in contents if isinstance(content, Control) and content.stream == stream]

    def statuses(self) -> dict[str, StreamStatus]:
        """Streams as `oqm streams` shows them."""
        return {status.stream: status for status in asyncio.run(stream_statuses(self.settings))}

    def offline_findings(self) -> list[Finding]:
        """Findings of an undisturbed pass over the features log as it stands."""
        specs = featurizer_for(self.settings).specs
        logs: dict[int, list[ConsumerRecord]] = {}
        for record in self.read(self.settings.topics.features.name):
            logs.setdefault(record.partition, []).append(record)
        return [finding for log in logs.values() for finding in pass_over(log, partition_monitor(self.settings, specs))]

    def wait_for(self, what: str, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Poll until it holds; fails with the workers' last log lines."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(self._tails())
                raise AssertionError(f"{what}: not within {timeout_s:.0f} s\n{logs}")
            time.sleep(0.3)

    def _tails(self) -> Iterator[str]:
        for worker in self._workers:
            yield f"--- {worker.log.name}, running: {worker.running}\n" + worker.log.read_text(errors="replace")[-1500:]

    def wait_for_findings(self, streams: Collection[str], timeout_s: float = 30.0) -> None:
        """Until something was found in just these streams: rows that came at once wait for a tick."""

        def there() -> bool:
            return {alert.stream for alert in self.alerts()} == set(streams)

        self.wait_for(f"findings in {len(streams)} streams", there, timeout_s)

    def wait_for_events(self, wanted: dict[str, int], timeout_s: float = 60.0) -> None:
        """Until each stream's checkpoint says that so many events were applied."""

        def there() -> bool:
            statuses = self.statuses()
            return all(stream in statuses and statuses[stream].events >= n for stream, n in wanted.items())

        self.wait_for(f"{sum(wanted.values())} events applied in {len(wanted)} streams", there, timeout_s)
        statuses = self.statuses()
        assert {stream: statuses[stream].events for stream in wanted} == wanted
