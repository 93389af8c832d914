"""`oqm events`, `oqm event show` and `oqm deadletter` on a real Kafka: read by time, and then they end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer

from pipelines.kafka.connection import client_options
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm
from tests.kafka.conftest import installed
from tests.kafka.installation import Installation

pytestmark = pytest.mark.kafka
HOURS = 3600.0


@pytest.fixture(scope="module")
def began() -> float:
    return time.time() - 3 * HOURS


@pytest.fixture(scope="module")
def installation(kafka_broker: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    yield from installed(kafka_broker, tmp_path_factory.mktemp("events"))


@pytest.fixture(scope="module")
def filled(installation: Installation, began: float) -> list[str]:
    """180 outputs of three streams, one a minute over three hours; the options that lead to them."""
    producer = KafkaProducer(**client_options(installation.settings.broker), acks="all")
    for k in range(180):
        stream = ("shop/answers", "shop/tickets", "other")[k % 3]
        event = {"id": f"e{k}", "stream": stream, "output": f"answer {k} to [you]", "input": f"question {k}"}
        if k == 9:
            del event["id"]
        moment = began + k * 60
        producer.send(
            installation.settings.topics.outputs.name,
            json.dumps({**event, "time": moment}).encode(),
            key=f"e{k}".encode(),
            timestamp_ms=int(moment * 1000),
        )
    producer.flush()
    producer.close()
    return ["--broker", installation.settings.broker.bootstrap, "--config", str(installation.folder / "monitor.yaml")]


def ids(printed: str) -> list[str]:
    return [str(row["id"]) for row in json_lines(printed)]


def test_the_newest_outputs_of_a_stream_oldest_first(filled: list[str]) -> None:
    done = oqm("events", "shop/answers", "--limit", "5", "--json", *filled)
    assert done.returncode == 0
    assert ids(done.stdout) == ["e165", "e168", "e171", "e174", "e177"]


def test_from_a_time_on_and_up_to_one(filled: list[str], began: float) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began + 30 * 60 - 1))
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began + 40 * 60))
    found = oqm("events", "shop/answers", "--since", since, "--until", until, "--json", *filled)
    assert ids(found.stdout) == ["e30", "e33", "e36", "e39"]
    limited = oqm("events", "shop/answers", "--since", since, "--limit", "2", "--json", *filled)
    assert ids(limited.stdout) == ["e30", "e33"]


def test_around_an_output_of_any_stream(filled: list[str]) -> None:
    found = oqm("events", "--around", "e90", "--limit", "4", "--json", *filled)
    assert ids(found.stdout) == ["e84", "e87", "e90", "e93"]


def test_what_is_printed_can_be_replayed(filled: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("printed") / "recent.jsonl"
    file.write_text(oqm("events", "other", "--limit", "9", "--json", *filled).stdout)
    done = oqm("features", file, "--json")
    assert done.returncode == 0
    assert len(json_lines(done.stdout)) == 9


def test_a_person_reads_time_id_and_texts(filled: list[str]) -> None:
    done = oqm("events", "other", "--limit", "2", *filled)
    assert "e176" in done.stdout
    assert "out  answer 179 to [you]" in done.stdout


def test_an_output_in_full_by_its_id_or_its_place(filled: list[str], installation: Installation) -> None:
    done = oqm("event", "show", "e40", *filled)
    assert done.returncode == 0
    assert "shop/tickets" in done.stdout
    assert "answer 40 to [you]" in done.stdout
    record = json.loads(oqm("event", "show", "e40", "--json", *filled).stdout)
    assert record["input"] == "question 40"
    # One that the application gave no id is called by its place in the topic.
    topic = installation.settings.topics.outputs.name
    listed = json_lines(oqm("events", "shop/answers", "--limit", "60", "--json", *filled).stdout)
    placed = next(row["id"] for row in listed if row["id"].startswith(topic))
    assert json.loads(oqm("event", "show", placed, "--json", *filled).stdout)["output"] == "answer 9 to [you]"


def test_what_is_not_there_is_said_and_ends_with_1(filled: list[str]) -> None:
    for arguments in (
        ["events", "shop/answer"],
        ["event", "show", "e999"],
        ["events", "shop/answers", "--since", "1s"],
    ):
        done = oqm(*arguments, *filled)
        assert done.returncode == 1, arguments
        assert done.stdout == ""
        assert done.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["events"], "name a STREAM"),
        (["events", "s", "--since", "1h", "--around", "x"], "one of"),
        (["events", "s", "--since", "soon"], "--since soon: must be a time"),
        (["events", "s", "--until", "12:00"], "--until goes with --since"),
        (["events", "--around", "nope"], "no output with this id"),
        (["deadletter", "show", "x"], "0/17"),
        (["deadletter", "show", "0/99"], "no such dead letter"),
        (["deadletter", "requeue"], "--reason"),
    ],
)
def test_wrong_words_are_answered_in_one_line(filled: list[str], arguments: list[str], says: str) -> None:
    assert says in one_line_of_error(oqm(*arguments, *filled))


def test_dead_letters_are_listed_shown_and_sent_back(on_kafka: Installation) -> None:
    at = ["--broker", on_kafka.settings.broker.bootstrap, "--config", str(on_kafka.folder / "monitor.yaml")]
    empty = oqm("deadletter", "list", *at)
    assert empty.returncode == 1
    assert "no dead letters" in empty.stderr
    worker = on_kafka.worker()
    on_kafka.ready(worker)
    on_kafka.publish_bytes(b"\xff\xfe\x00 no text", key=b"k")
    on_kafka.publish_bytes(b'{"output": "without a stream"}', headers=[("tenant", b"north")])
    on_kafka.publish([{"id": "good", "stream": "a", "output": "x"}])
    on_kafka.wait_for(
        "two dead letters", lambda: len(json_lines(oqm("deadletter", "list", "--json", *at).stdout)) == 2, 30
    )
    listed = oqm("deadletter", "list", *at)
    assert listed.returncode == 0
    assert "missing_stream" in listed.stdout
    assert "wrong_encoding 1" in listed.stderr
    letters = json_lines(oqm("deadletter", "list", "--reason", "missing_stream", "--json", *at).stdout)
    (letter,) = letters
    assert letter["value"] == '{"output": "without a stream"}'
    assert letter["headers"] == {"tenant": "north"}
    shown = oqm("deadletter", "show", letter["place"], *at)
    assert "without a stream" in shown.stdout
    assert "header tenant" in shown.stdout
    back = oqm("deadletter", "requeue", letter["place"], "--yes", *at)
    assert back.returncode == 0, back.stderr
    assert "1 messages sent back" in back.stderr
    # It fails again, and says how often it had been sent back.
    on_kafka.wait_for(
        "the letter again", lambda: len(json_lines(oqm("deadletter", "list", "--json", *at).stdout)) == 3, 30
    )
    again = json_lines(oqm("deadletter", "list", "--reason", "missing_stream", "--json", *at).stdout)
    # Letters are listed by their time, and a message that is sent back keeps that of its first letter.
    assert sorted(row["requeued"] for row in again) == [0, 1]
    assert all(row["headers"]["tenant"] == "north" for row in again)
    assert worker.stop() == 0


def test_rows_of_a_stream_that_failed_are_sent_back_as_the_events_they_were(installation: Installation) -> None:
    at = ["--broker", installation.settings.broker.bootstrap, "--config", str(installation.folder / "monitor.yaml")]
    topics = installation.settings.topics
    producer = KafkaProducer(**client_options(installation.settings.broker), acks="all")
    event = b'{"id": "r1", "stream": "failed/one", "output": "x"}'
    placed = producer.send(topics.outputs.name, event, key=b"r1").get(30)
    events = [[placed.partition, placed.offset, "r1"], [placed.partition, placed.offset + 10_000, "gone"]]
    headers = [
        ("oqm-reason", b"stream_failed"),
        ("oqm-topic", topics.features.name.encode()),
        ("oqm-events", json.dumps(events).encode()),
    ]
    letter = producer.send(topics.deadletter.name, b"rows", headers=headers).get(30)
    producer.close()
    done = oqm("deadletter", "requeue", f"{letter.partition}/{letter.offset}", "--yes", *at)
    assert done.returncode == 2
    assert "1 events could not be sent back" in done.stderr
    found = oqm("events", "failed/one", "--json", *at)
    assert ids(found.stdout) == ["r1", "r1"]
