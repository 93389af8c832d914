"""A real worker that hangs is seen and ends by itself; one that only waits for Kafka stays, and says so."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.liveness.watchdog import STUCK_EXIT
from tests.brokers.apache import ApacheKafka, missing_tools
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, WorkerProcess, made_event

pytestmark = pytest.mark.kafka

STREAM = "support-bot/answer"
HANGING = ("tests.faults.hanging",)


@pytest.fixture
def hasty(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    """Workers count as stuck after 10 s."""
    yield from installed(kafka_broker, tmp_path, stuck_after=10.0)


def hang(hasty: Installation, worker: WorkerProcess, how: str) -> None:
    match how:
        case "HANG" | "SPIN":
            hasty.publish([{**made_event(STREAM, 20, long=False), "output": how}])
        case "SIGUSR1" | "SIGUSR2":
            worker.signal(getattr(signal, how))
            hasty.publish([made_event(STREAM, 20, long=False)])


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("HANG", STUCK_EXIT, r"stuck for 10 s: .*the stage featurize"),
        ("SIGUSR1", STUCK_EXIT, r"stuck for 10 s: .*the event loop"),
        ("SIGUSR2", STUCK_EXIT, r"stuck for 10 s: .*the stage (detect|featurize)"),
        ("SPIN", 1, r"Timeout \(0:00:10\)!"),  # Python's own timer, in C: no thread of ours runs any more
    ],
)
def test_a_worker_that_hangs_exits_and_the_next_one_goes_on(
    hasty: Installation, how: str, code: int, said: str
) -> None:
    worker = hasty.worker(program=HANGING)
    hasty.ready(worker)
    hasty.publish(made_event(STREAM, i, long=False) for i in range(20))
    hasty.wait_for_events({STREAM: 20})
    hang(hasty, worker, how)
    assert worker.wait(120) == code
    log = worker.log.read_text(errors="replace")
    assert re.search(said, log), log[-3000:]
    assert "hanging.py" in log or how == "SIGUSR2"  # the stacks say where
    hasty.worker()
    hasty.wait_for_events({STREAM: 21}, timeout_s=90)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_worker_without_kafka_waits_says_so_and_goes_on(tmp_path: Path, how: str) -> None:
    if missing := missing_tools():
        pytest.skip(missing)
    with (
        ApacheKafka(folder=tmp_path / "kafka") as broker,
        contextmanager(installed)(broker, tmp_path, stuck_after=15.0) as monitor,
    ):
        worker = monitor.worker()
        monitor.ready(worker)
        monitor.publish(made_event(STREAM, i, long=False) for i in range(20))
        monitor.publish_bytes(b"not json")
        monitor.wait_for_events({STREAM: 20})
        monitor.wait_for("ready", lambda: worker.ask("/readyz")[0] == 200)

        away(broker, how)
        monitor.wait_for("not ready", lambda: worker.ask("/readyz")[0] == 503, 90)
        # Silence is told after 30 s: twice as long as what is stuck may be.
        assert worker.ask("/healthz") == (200, {"healthy": True, "reason": "ok"})
        back(broker, how)

        monitor.publish(made_event(STREAM, i, long=False) for i in range(20, 40))
        monitor.publish_bytes(b"not json either")
        monitor.wait_for_events({STREAM: 40}, timeout_s=120)
        dead = monitor.settings.topics.deadletter.name
        monitor.wait_for("dead letters", lambda: len(monitor.read(dead)) >= 2, 60)
        monitor.wait_for("ready again", lambda: worker.ask("/readyz")[0] == 200, 60)
        assert worker.starts == 1
        assert worker.running


def away(broker: ApacheKafka, how: str) -> None:
    if how == "stopped":
        broker.stop()
    else:
        broker.signal(signal.SIGSTOP)


def back(broker: ApacheKafka, how: str) -> None:
    if how == "stopped":
        broker.start()
    else:
        broker.signal(signal.SIGCONT)
