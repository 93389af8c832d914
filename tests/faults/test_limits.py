"""More than a worker can carry, large messages, one stream with most of the traffic, and very many streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.events.decode import MAX_BYTES
from tests.brokers.apache import ApacheKafka
from tests.faults.flood import flooded, resident_mib, sample
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka

STREAM = "support-bot/answer"


@pytest.mark.timeout(400)
def test_memory_is_bounded_under_a_flood_and_the_worker_says_that_it_is_behind(on_kafka: Installation) -> None:
    """Shortened; whole: `python -m tests.faults.flood`."""
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    before = resident_mib(worker)
    seen = flooded(on_kafka, worker, seconds=15, every_s=0.5)
    last = seen[-1]
    assert last.published > 2 * last.applied > 0
    # Two stages hold 16 MiB each at most, Faust's queues 32 runs of 1 MiB each, aiokafka two fetches of 50 MiB; and the
    # computing itself some.
    assert max(one.rss_mib for one in seen) < before + 400
    assert last.lag > 0
    assert last.behind_s > 1
    assert last.working_s - seen[0].working_s > 0.5 * (last.at_s - seen[0].at_s)
    assert worker.running


@pytest.mark.timeout(400)
def test_large_messages_pass_and_too_large_ones_are_dead_letters(on_kafka: Installation) -> None:
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    before = resident_mib(worker)
    large = "the answer is yes. " * (MAX_BYTES // 20)
    events = [{**made_event(STREAM, i, long=False), "output": large} for i in range(6)]
    assert MAX_BYTES * 0.9 < len(json.dumps(events[0])) < MAX_BYTES
    on_kafka.publish(events)
    # Over the limit of the reader, and under that of the topic.
    on_kafka.publish([{**events[0], "id": "too large", "output": large + "x" * (MAX_BYTES + 100 - len(large))}])
    on_kafka.publish(made_event(STREAM, i, long=False) for i in range(6, 40))
    on_kafka.wait_for_events({STREAM: 40}, timeout_s=200)
    [letter] = on_kafka.read(on_kafka.settings.topics.deadletter.name)
    assert dict(letter.headers)["oqm-reason"] == b"too_large"
    assert resident_mib(worker) < before + 1_000


@pytest.mark.timeout(400)
def test_a_stream_with_most_of_the_traffic_is_measured_by_all_workers(on_kafka: Installation) -> None:
    workers = [on_kafka.worker(), on_kafka.worker()]
    for worker in workers:
        on_kafka.ready(worker)
    topic = on_kafka.settings.topics.outputs.name
    on_kafka.wait_for(
        "half of the partitions each",
        lambda: [worker.ask("/readyz")[1]["partitions"].get(topic) for worker in workers] == [4, 4],
    )
    names = [STREAM if i % 10 else f"quiet-{i % 30}/answer" for i in range(2_000)]
    on_kafka.publish(made_event(name, i, long=False) for i, name in enumerate(names))
    on_kafka.wait_for_events({name: names.count(name) for name in set(names)}, timeout_s=120)
    measured = [sample(worker, "oqm_messages_total", stage="featurize") for worker in workers]
    assert sum(measured) == 2_000
    assert min(measured) > 0.3 * 2_000


@pytest.fixture
def patient(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    """A session as long as an operator's would be, and checkpoints as far apart."""
    with contextmanager(installed)(kafka_broker, tmp_path, checkpoint_interval=5.0) as installation:
        installation.session_timeout_s = 30.0
        yield installation


@pytest.mark.timeout(600)
def test_five_thousand_streams(patient: Installation) -> None:
    worker = patient.worker()
    patient.ready(worker)
    names = [f"team-{i % 50}/bot-{i}" for i in range(5_000)]
    patient.publish(made_event(name, number, long=False) for number in range(3) for name in names)
    patient.wait_for_events(dict.fromkeys(names, 3), timeout_s=240)
    assert sample(worker, "oqm_streams") == 5_000
    assert worker.stop() == 0
    heir = patient.worker()
    patient.ready(heir)
    patient.publish(made_event(name, 3, long=False) for name in names)
    patient.wait_for_events(dict.fromkeys(names, 4), timeout_s=240)
