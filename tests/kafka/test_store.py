"""The trace store on a real Kafka: every event once whatever dies, lag and no loss while the database is away."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.settings import Settings
from monitor.store.base import StoreError
from monitor.store.open import open_store
from monitor.store.query import Search
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, made_event

pytestmark = pytest.mark.kafka

CRITERIA = [{"match": "*", "criteria": [{"name": "short", "check": {"feature": "output.length.words", "most": 30}}]}]


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        stored = Settings.model_validate({"store": {"location": str(tmp_path / "traces")}, "streams": CRITERIA})
        made.settings = made.settings.model_copy(update={"store": stored.store, "streams": stored.streams})
        made.with_sections({"store": {"location": str(tmp_path / "traces")}, "streams": CRITERIA})
        yield made


def stored_ids(installation: Installation) -> Counter[str]:
    try:
        store = open_store(installation.settings.store.location, read_only=True)
        try:
            return Counter(one.id for one in store.search(Search(limit=10_000)))
        finally:
            store.close()
    except StoreError:  # not made yet
        return Counter()


def test_every_event_is_one_row_though_writers_are_killed(installation: Installation) -> None:
    events = [made_event(f"s{n % 3}", n, long=n % 10 == 0) for n in range(3_000)]
    rng = random.Random(3)
    workers = [installation.worker("store")]
    for part in range(6):
        installation.publish(events[part * 500 : (part + 1) * 500])
        time.sleep(rng.uniform(0.5, 3.0))  # so that they die at different moments of their work
        workers[-1].kill()
        workers.append(installation.worker("store"))
    wanted = Counter(event["id"] for event in events)
    installation.wait_for("all events stored", lambda: len(stored_ids(installation)) == len(wanted), 90)
    assert stored_ids(installation) == wanted


def test_checks_and_traces_are_found(installation: Installation) -> None:
    worker = installation.worker()
    installation.ready(worker)
    installation.publish(made_event("s", n, long=n % 10 == 0) for n in range(100))
    options = ["--config", str(installation.folder / "monitor.yaml")]

    def violating() -> list[object]:
        return [row["id"] for row in json_lines(oqm("search", "--check", "short", "--json", *options).stdout)]

    installation.wait_for("violations stored", lambda: len(violating()) == 10, 60)
    (found,) = json_lines(oqm("trace", "s-10", "--json", *options).stdout)
    assert found["violations"] == ["short"]
    assert found["features"]["output.length.words"] > 30
    shown = oqm("trace", "s-10", *options)
    assert "violates: short" in shown.stdout
    assert oqm("trace", "absent", *options).returncode == 1
    assert worker.stop() == 0


def test_while_the_database_is_away_nothing_is_lost_and_readyz_says_it(installation: Installation) -> None:
    folder = Path(installation.settings.store.location)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")  # a file where the folder belongs: the store cannot be opened
    worker = installation.worker("store")
    installation.publish(made_event("s", n, long=False) for n in range(50))

    def away() -> bool:
        try:
            status, body = worker.ask("/readyz")
        except OSError:
            return False
        return status == 503 and "trace store does not answer" in json.dumps(body)

    installation.wait_for("readyz says that the store is away", away, 60)
    folder.unlink()
    installation.wait_for("all events stored", lambda: len(stored_ids(installation)) == 50, 60)
    installation.wait_for("ready", lambda: worker.ask("/readyz")[0] == 200, 30)
    assert worker.stop() == 0
