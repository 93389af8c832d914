"""The trace store on a real Kafka: every event once whatever dies, lag and no loss while the database is away."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from monitor.actions.messages import GateRequest
from monitor.alerting.alert import encode
from monitor.alerting.rendering.samples import sample_alert
from monitor.ledger.open import open_ledger
from monitor.serve.context import Services
from monitor.serve.gatekeeper import Gatekeeper
from monitor.serve.measure import Measurer
from monitor.serve.streams import StreamStates
from monitor.serve.traces import Traces
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse
from monitor.store.base import StoreError
from monitor.store.open import open_store
from monitor.store.query import MAX_RESULTS, Search, StoredOutput
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation, WorkerProcess, made_event
from tests.servers import PostgresServer

pytestmark = pytest.mark.kafka

CRITERIA = [{"match": "*", "criteria": [{"name": "short", "check": {"feature": "output.length.words", "most": 30}}]}]


WITHIN_S = 180.0
"""Longest wait for a worker: it starts in some seconds, and in minutes on a machine that ten others keep busy."""
KILLS = int(os.environ.get("OQM_STORE_KILLS", "4"))
"""Times that a writer is killed in the test of it; `OQM_STORE_KILLS=20` is what docs/benchmarks.md reports."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = PostgresServer(tmp_path_factory.mktemp("postgres"))
    started.start()
    yield started
    started.remove()


def empty_database(url: str) -> str:
    """Another database of this server."""
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return url.rpartition("/")[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is."""
    if request.param == "sqlite":
        return str(tmp_path / "traces")
    started: PostgresServer = request.getfixturevalue("server")
    return empty_database(started.url)


def storing(installation: Installation, location: str) -> Installation:
    """The installation with its trace store there."""
    stored = Settings.model_validate({"store": {"location": location}, "streams": CRITERIA})
    installation.settings = installation.settings.model_copy(update={"store": stored.store, "streams": stored.streams})
    installation.with_sections({"store": {"location": location}, "streams": CRITERIA})
    return installation


@pytest.fixture
def installation(kafka_broker: ApacheKafka, tmp_path: Path, location: str) -> Iterator[Installation]:
    for made in installed(kafka_broker, tmp_path):
        yield storing(made, location)


def stored_rows(location: str) -> list[StoredOutput]:
    """All outputs, in the order of the log."""
    try:
        store = open_store(location, read_only=True)
        try:
            found = store.search(Search(limit=MAX_RESULTS))
        finally:
            store.close()
    except StoreError:  # not made yet
        return []
    return sorted(found, key=lambda one: (one.partition, one.position))


def stored_ids(installation: Installation) -> Counter[str]:
    return Counter(one.id for one in stored_rows(installation.settings.store.location))


def test_every_event_is_one_row_though_writers_are_killed_and_rebuilt_the_rows_are_the_same(
    installation: Installation, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    each = 400
    events = [made_event(f"s{n % 3}", n, long=n % 10 == 0) for n in range(each * (KILLS + 1))]
    assert len(events) <= MAX_RESULTS
    rng = random.Random(3)
    worker = installation.worker("store")
    for part in range(KILLS + 1):
        installation.wait_for("a writer that answers", partial(_is_ready, worker), WITHIN_S)
        installation.publish(events[part * each : (part + 1) * each], rate=800)  # while it writes
        if part == KILLS:
            break
        time.sleep(rng.uniform(0.0, 0.5))  # so that they die at different moments of their work
        worker.kill()
        worker = installation.worker("store")
    wanted = Counter(event["id"] for event in events)
    installation.wait_for("all events stored", lambda: len(stored_ids(installation)) == len(wanted), WITHIN_S)
    assert stored_ids(installation) == wanted
    rows = stored_rows(installation.settings.store.location)
    assert worker.stop() == 0
    if installation.settings.store.location.startswith("postgresql://"):
        again = empty_database(request.getfixturevalue("server").url)
    else:
        again = str(tmp_path / "again")
    storing(installation, again)
    worker = installation.worker("store")
    installation.wait_for("rebuilt", lambda: len(stored_rows(again)) == len(rows), WITHIN_S)
    assert stored_rows(again) == rows
    assert worker.stop() == 0


@pytest.mark.parametrize("location", ["postgres"], indirect=True)
def test_while_postgresql_is_stopped_lag_grows_nothing_is_lost_and_readyz_says_it(
    installation: Installation, server: PostgresServer
) -> None:
    worker = installation.worker("store")
    installation.publish(made_event("s", n, long=False) for n in range(200))
    installation.wait_for("the first events stored", lambda: len(stored_ids(installation)) == 200, WITHIN_S)
    server.stop()
    try:
        installation.publish(made_event("s", n, long=False) for n in range(200, 500))
        installation.wait_for("readyz says that the store is away", lambda: _is_away(worker), WITHIN_S)
        assert worker.ask("/healthz")[0] == 200
    finally:
        server.start()
    installation.wait_for("all events stored", lambda: len(stored_ids(installation)) == 500, WITHIN_S)
    installation.wait_for("ready", lambda: worker.ask("/readyz")[0] == 200, WITHIN_S)
    assert worker.stop() == 0


def _is_ready(worker: WorkerProcess) -> bool:
    try:
        return worker.ask("/readyz")[0] == 200
    except OSError:
        return False


def _is_away(worker: WorkerProcess) -> bool:
    try:
        status, body = worker.ask("/readyz")
    except OSError:
        return False
    return status == 503 and "trace store does not answer" in json.dumps(body)


def test_checks_and_traces_are_found(installation: Installation) -> None:
    worker = installation.worker()
    installation.ready(worker)
    installation.publish(made_event("s", n, long=n % 10 == 0) for n in range(100))
    options = ["--config", str(installation.folder / "monitor.yaml")]

    def violating() -> list[object]:
        return [row["id"] for row in json_lines(oqm("search", "--check", "short", "--json", *options).stdout)]

    installation.wait_for("violations stored", lambda: len(violating()) == 10, WITHIN_S)
    (found,) = json_lines(oqm("trace", "s-10", "--json", *options).stdout)
    assert found["violations"] == ["short"]
    assert found["features"]["output.length.words"] > 30
    shown = oqm("trace", "s-10", *options)
    assert "violates: short" in shown.stdout
    assert oqm("trace", "absent", *options).returncode == 1
    assert worker.stop() == 0


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
def test_while_the_folder_cannot_be_opened_nothing_is_lost_and_readyz_says_it(installation: Installation) -> None:
    folder = Path(installation.settings.store.location)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")  # a file where the folder belongs: the store cannot be opened
    worker = installation.worker("store")
    installation.publish(made_event("s", n, long=False) for n in range(50))

    installation.wait_for("readyz says that the store is away", lambda: _is_away(worker), WITHIN_S)
    folder.unlink()
    installation.wait_for("all events stored", lambda: len(stored_ids(installation)) == 50, WITHIN_S)
    installation.wait_for("ready", lambda: worker.ask("/readyz")[0] == 200, WITHIN_S)
    assert worker.stop() == 0


@pytest.mark.parametrize("location", ["sqlite"], indirect=True)
def test_alerts_are_stored_with_the_time_up_to_which_they_are_read(installation: Installation) -> None:
    def findings() -> dict[str, Any]:
        shown = json_lines(oqm("trace", "s-7", "--config", str(installation.folder / "monitor.yaml"), "--json").stdout)
        return dict(shown[0]["findings"]) if shown else {}

    sent = sample_alert(stream="s", time=1_000.0)  # it began long before the output
    topic = installation.settings.topics.alerts.name
    installation.publish(made_event("s", n, long=False) for n in range(20))
    installation.send(topic, encode(sent), 0)
    worker = installation.worker("store")
    installation.wait_for("alerts read", lambda: bool(findings()) and findings()["unknown"] is None, WITHIN_S)
    assert [one["id"] for one in findings()["alerts"]] == [sent.id]
    assert worker.stop() == 0
    # A store of an earlier version has read the topic, and holds no alerts.
    for path in Path(installation.settings.store.location).glob("*.sqlite"):
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("delete from alert"))
            connection.execute(text("delete from alerts_read"))
        engine.dispose()
    assert "no worker has read the topic of alerts" in findings()["unknown"]
    worker = installation.worker("store")
    installation.wait_for("alerts read again", lambda: findings()["unknown"] is None, WITHIN_S)
    assert [one["id"] for one in findings()["alerts"]] == [sent.id]
    assert worker.stop() == 0


@pytest.mark.parametrize("location", ["postgres"], indirect=True)
def test_the_gate_lets_the_same_output_pass_until_an_alert_of_its_stream_is_stored(installation: Installation) -> None:
    address = installation.settings.store.location
    written = "gate: {kinds: {email: {decide: checked, hold_if: [drift, unsure]}}}"
    services = Services(
        settings=parse(Settings, written, name="test", environ={}),
        ledger=open_ledger(address),
        traces=Traces(address),
    )
    states = StreamStates(services)
    services.parts = {StreamStates: states, Measurer: Measurer(services)}
    keeper, number = Gatekeeper(services), count()

    def ask() -> tuple[str, list[str]]:
        asked = GateRequest(kind="email", key=f"email:{next(number)}", stream="s", output="Hello")
        answer = keeper.answer(asked, "default", "app", services.clock())
        return answer.answer.value, [reason.code for reason in answer.reasons]

    worker = installation.worker("store")
    states.start()
    assert ask() == ("hold", ["unsure"])  # nobody watches this stream yet
    installation.publish(made_event("s", n, long=False) for n in range(20))
    installation.wait_for("calm", lambda: ask() == ("pass", []), WITHIN_S)
    installation.send(installation.settings.topics.alerts.name, encode(sample_alert(stream="s", time=1_000.0)), 0)
    installation.wait_for("held", lambda: ask() == ("hold", ["drift"]), WITHIN_S)
    assert worker.stop() == 0
    states.close()
    services.close()
