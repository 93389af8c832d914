from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from kafka import errors

import monitor
from monitor.errors import BrokerError, ConfigError, InvalidEvent
from monitor.events import Model, OutputEvent, decode_event
from monitor.publisher import OutputPublisher, Undelivered
from tests.publisher.fake import Clock, FakeFuture, FakeProducer

EVENT = OutputEvent(stream="bot/answer", output="hi", id="e1", time=1_760_000_000.0)

Make = Callable[..., OutputPublisher]


@pytest.fixture
def make() -> Iterator[Make]:
    """Publishers that are closed when the test ends."""
    made: list[OutputPublisher] = []

    def build(producer: Any = None, **options: Any) -> OutputPublisher:
        publisher = OutputPublisher(producer=producer, **options)
        made.append(publisher)
        return publisher

    yield build
    for publisher in made:
        publisher.strict = False
        publisher.close(0.0)


def numbered(n: int) -> list[OutputEvent]:
    return [OutputEvent(stream="bot", output="hi", id=str(i)) for i in range(n)]


def test_an_event_is_sent_under_its_id(make: Make) -> None:
    producer = FakeProducer()
    with make(lambda: producer, wall_clock=lambda: 1_760_000_100.0) as publisher:
        assert publisher.publish(EVENT)
    [message] = producer.sent
    assert (message["topic"], message["key"], message["timestamp_ms"]) == ("oqm.outputs", b"e1", 1_760_000_100_000)
    assert decode_event(message["value"], default_id="d", timestamp=1_760_000_100.0).event == EVENT
    assert (publisher.delivered, publisher.pending, publisher.undelivered) == (1, 0, {})
    assert producer.closed


def test_missing_id_and_time_are_filled_in_and_the_event_is_left_alone(make: Make) -> None:
    producer = FakeProducer()
    event = OutputEvent(stream="bot", output="hi")
    with make(lambda: producer, wall_clock=lambda: 5.0) as publisher:
        publisher.publish(event)
        publisher.publish(event)
    first, second = producer.events
    assert first.time == 5.0
    assert first.id
    assert first.id != second.id
    assert (event.id, event.time) == (None, None)


def test_the_application_does_not_wait_for_a_broker_that_is_not_there(make: Make) -> None:
    reached = threading.Event()
    producer = FakeProducer()

    def connect() -> FakeProducer:
        if not reached.is_set():
            raise errors.KafkaTimeoutError("Unable to bootstrap")
        return producer

    publisher = make(connect)
    assert all(publisher.publish(event) for event in numbered(5))
    assert publisher.pending == 5
    assert not publisher.flush(0.0)
    reached.set()
    assert publisher.flush(30)
    assert [event.id for event in producer.events] == list("01234")
    assert publisher.delivered == 5


def test_a_full_buffer_drops_and_counts(make: Make) -> None:
    producer = FakeProducer(hold=True)
    publisher = make(lambda: producer, buffer_events=3, block_s=0.0)
    assert [publisher.publish(event) for event in numbered(5)] == [True, True, True, False, False]
    assert publisher.undelivered == {Undelivered.BUFFER_FULL: 2}
    producer.wait_for(3)
    producer.futures[0].confirm()
    assert publisher.publish(EVENT)
    for future in producer.futures:
        future.confirm()


def test_the_buffer_is_bounded_in_bytes_too(make: Make) -> None:
    publisher = make(lambda: FakeProducer(hold=True), buffer_bytes=1000, block_s=0.0)
    large = OutputEvent(stream="bot", output="x" * 2000)
    assert publisher.publish(large)  # alone it passes, or it never would
    assert not publisher.publish(EVENT)


def test_a_full_buffer_waits_for_room_as_long_as_it_may(make: Make) -> None:
    producer = FakeProducer(hold=True)
    publisher = make(lambda: producer, buffer_events=1, block_s=30.0)
    publisher.publish(EVENT)
    producer.wait_for(1)
    threading.Timer(0.05, producer.futures[0].confirm).start()
    assert publisher.publish(EVENT)
    assert not publisher.undelivered


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (OutputEvent(stream="bot", output=None), Undelivered.NOT_ENCODABLE),
        (OutputEvent(stream="", output="hi"), Undelivered.NOT_ENCODABLE),
        (OutputEvent(stream="bot", output="x" * 5000), Undelivered.TOO_LARGE),
    ],
)
def test_what_cannot_be_an_event_is_counted_or_raised(make: Make, event: OutputEvent, reason: Undelivered) -> None:
    publisher = make(FakeProducer, max_message_bytes=5000)
    assert not publisher.publish(event)
    assert publisher.undelivered == {reason: 1}
    publisher.strict = True
    with pytest.raises(InvalidEvent):
        publisher.publish(event)


def test_nothing_that_an_application_passes_raises_into_it(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    publisher = make(FakeProducer)
    for wrong in (None, "text", 5, {"stream": "a"}, OutputEvent(stream=5, output="x")):  # type: ignore[arg-type]
        assert publisher.publish(wrong) is False  # type: ignore[arg-type]
    assert publisher.undelivered.total() == 5
    assert "publishing an output event failed" in caplog.text


def test_whatever_attributes_hold_becomes_json(make: Make) -> None:
    producer = FakeProducer()
    attributes = {
        "number": np.float32(0.5),
        "count": np.int64(3),
        "array": np.arange(3),
        "object": threading.Lock(),
        "half": "cut \ud83d",
        "huge": 10**30,
        "nan": float("nan"),
        "set": {1},
        3: "key",
    }
    with make(lambda: producer) as publisher:
        assert publisher.publish(OutputEvent(stream="bot", output="cut \ud83d", attributes=attributes))  # type: ignore[arg-type]
    event = decode_event(producer.sent[0]["value"], default_id="d", timestamp=None).event
    assert event.output == "cut \ufffd"
    assert event.attributes["number"] == 0.5
    assert event.attributes["count"] == 3
    assert event.attributes["half"] == "cut \ufffd"
    assert event.attributes["huge"] == str(10**30)
    assert event.attributes["nan"] is None
    assert event.attributes["set"] == [1]
    assert event.attributes["3"] == "key"
    assert "lock" in event.attributes["object"]


def test_a_broker_that_goes_away_for_a_while_costs_nothing(make: Make) -> None:
    failures = [errors.KafkaTimeoutError("no metadata"), errors.KafkaConnectionError("reset")]

    def on_send(future: FakeFuture, message: dict[str, Any]) -> None:
        if failures and message["key"] == b"2":
            raise failures.pop()

    producer = FakeProducer(on_send=on_send)
    publisher = make(lambda: producer)
    for event in numbered(5):
        publisher.publish(event)
    assert publisher.flush(30)
    assert [event.id for event in producer.events] == list("01234")
    assert not producer.closed


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.MessageSizeTooLargeError("1 MB"), Undelivered.TOO_LARGE),
        (ValueError("no such topic"), Undelivered.REFUSED),
    ],
)
def test_one_event_that_can_never_be_sent_does_not_hold_up_the_rest(
    make: Make, error: Exception, reason: Undelivered
) -> None:
    def on_send(future: FakeFuture, message: dict[str, Any]) -> None:
        if message["key"] == b"1":
            raise error

    producer = FakeProducer(on_send=on_send)
    publisher = make(lambda: producer)
    for event in numbered(3):
        publisher.publish(event)
    assert publisher.flush(30)
    assert [event.id for event in producer.events] == ["0", "2"]
    assert publisher.undelivered == {reason: 1}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.TopicAuthorizationFailedError("no"), Undelivered.REFUSED),
        (errors.KafkaTimeoutError("batch expired"), Undelivered.TIMEOUT),
    ],
)
def test_what_the_broker_refuses_is_counted(make: Make, error: Exception, reason: Undelivered) -> None:
    producer = FakeProducer(on_send=lambda future, message: future.fail(error))
    publisher = make(lambda: producer)
    publisher.publish(EVENT)
    assert publisher.flush(30)
    assert (publisher.delivered, publisher.undelivered) == (0, {reason: 1})


def test_a_producer_that_is_done_for_is_made_anew(make: Make) -> None:
    broken = FakeProducer(on_send=lambda future, message: future.fail(errors.OutOfOrderSequenceNumberError("gap")))
    fresh = FakeProducer()
    producers = iter([broken, fresh])
    publisher = make(lambda: next(producers))
    publisher.publish(EVENT)
    assert publisher.flush(30)
    assert publisher.undelivered == {Undelivered.REFUSED: 1}
    publisher.publish(EVENT)
    assert publisher.flush(30)
    assert broken.closed
    assert len(fresh.sent) == publisher.delivered == 1


def test_events_are_given_up_when_their_time_is_over(make: Make) -> None:
    clock = Clock()
    tried = threading.Semaphore(0)

    def connect() -> FakeProducer:
        tried.release()
        raise errors.KafkaConnectionError("refused")

    publisher = make(connect, clock=clock, delivery_timeout_s=60.0)
    publisher.publish(EVENT)
    tried.acquire()
    clock.advance(59.0)
    tried.acquire()
    assert publisher.pending == 1
    clock.advance(2.0)
    assert publisher.flush(30)
    assert publisher.undelivered == {Undelivered.TIMEOUT: 1}


def test_close_counts_what_is_left_and_ends_publishing(make: Make) -> None:
    producer = FakeProducer(hold=True)
    publisher = make(lambda: producer)
    publisher.publish(EVENT)
    producer.wait_for(1)
    assert not publisher.close(0.0)
    assert publisher.undelivered == {Undelivered.CLOSED: 1}
    producer.futures[0].confirm()  # too late to count
    assert publisher.delivered == 0
    assert publisher.close()  # again, without effect
    assert not publisher.publish(EVENT)
    assert publisher.undelivered == {Undelivered.CLOSED: 2}
    assert producer.closed


def test_a_strict_publisher_says_so(make: Make) -> None:
    producer = FakeProducer(hold=True)
    publisher = make(lambda: producer, strict=True, buffer_events=1, block_s=0.0)
    publisher.publish(EVENT)
    with pytest.raises(BrokerError, match="buffer is full"):
        publisher.publish(EVENT)
    with pytest.raises(BrokerError, match="1 output events were not delivered"):
        publisher.close(0.0)
    with pytest.raises(BrokerError, match="closed"):
        publisher.publish(EVENT)


def test_many_threads_may_publish(make: Make) -> None:
    producer = FakeProducer()
    publisher = make(lambda: producer, block_s=30.0)
    threads = [threading.Thread(target=lambda: [publisher.publish(e) for e in numbered(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.flush(30)
    assert publisher.delivered == len(producer.sent) == 4000


def test_warnings_do_not_flood_the_log(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    publisher = make(FakeProducer, clock=clock)
    for _ in range(100):
        publisher.publish(OutputEvent(stream="bot", output=None))
    assert len(caplog.records) == 1
    clock.advance(61.0)
    publisher.publish(OutputEvent(stream="bot", output=None))
    assert len(caplog.records) == 2


def _publish_in_child(publisher: OutputPublisher, results: Any) -> None:
    publisher.publish(EVENT)
    flushed = publisher.flush(30)
    results.put((os.getpid(), flushed, publisher.delivered, publisher.pending))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_publishes_by_itself(make: Make) -> None:
    held = FakeProducer(hold=True)
    parent = os.getpid()
    publisher = make(lambda: FakeProducer() if os.getpid() != parent else held)
    publisher.publish(EVENT)
    held.wait_for(1)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_publish_in_child, args=(publisher, results))
    child.start()
    pid, flushed, delivered, pending = results.get()
    child.join(30)
    assert (flushed, delivered, pending) == (True, 1, 0)
    assert pid == child.pid
    assert publisher.pending == 1  # the parent's own is still the parent's
    held.futures[0].confirm()
    assert publisher.delivered == 1


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_lock_that_is_taken_at_the_fork_does_not_stop_the_child(make: Make) -> None:
    publisher = make(FakeProducer)
    taken, over = threading.Event(), threading.Event()

    def take() -> None:
        with publisher._buffer.changed:
            taken.set()
            over.wait()

    thread = threading.Thread(target=take)
    thread.start()
    taken.wait()
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_publish_in_child, args=(publisher, results))
    child.start()
    assert results.get()[1:] == (True, 1, 0)
    child.join(30)
    over.set()
    thread.join()


def _publish_and_wait(publisher: OutputPublisher, started: Any) -> None:
    publisher.publish(EVENT)
    started.put(True)
    threading.Event().wait()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_is_terminated_sends_what_is_left_and_ends_by_the_signal(make: Make) -> None:
    context = multiprocessing.get_context("fork")
    started, sent = context.SimpleQueue(), context.SimpleQueue()
    terminating = context.Event()

    class Producer(FakeProducer):
        def send(self, *args: Any, **message: Any) -> FakeFuture:
            terminating.wait()
            sent.put(message["key"])
            return super().send(*args, **message)

    child = context.Process(target=_publish_and_wait, args=(make(Producer), started))
    child.start()
    started.get()
    child.terminate()
    terminating.set()
    child.join(30)
    assert child.exitcode == -signal.SIGTERM
    assert not sent.empty()
    assert sent.get() == b"e1"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # here, no handler is set


def test_nothing_is_imported_once_the_publisher_is_made() -> None:
    script = (
        "import sys, threading\n"
        "from monitor import OutputPublisher\n"
        "publisher = OutputPublisher('localhost:1')\n"
        "print('kafka' in sys.modules, 'encodings.idna' in sys.modules, threading.active_count())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "True True 1\n"


def test_a_publisher_may_be_passed_to_a_spawned_process() -> None:
    publisher = OutputPublisher("host:1", "topic", buffer_events=5, strict=True)
    copy = pickle.loads(pickle.dumps(publisher))
    assert (copy.topic, copy.strict, copy._given["buffer_events"]) == ("topic", True, 5)


def test_an_option_that_kafka_does_not_know_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="no option 'sasl_mecanism'"):
        OutputPublisher(kafka={"sasl_mecanism": "PLAIN"})


def test_without_a_broker_the_process_ends_and_says_what_was_lost() -> None:
    script = (
        "import logging; logging.basicConfig(level='WARNING')\n"
        "from monitor import OutputEvent, OutputPublisher\n"
        "publisher = OutputPublisher('127.0.0.1:1', delivery_timeout_s=1.0)\n"
        "publisher.publish(OutputEvent(stream='a', output='b'))\n"
        "print('done', publisher.close(0.2), dict(publisher.undelivered))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done False {<Undelivered.CLOSED: 'closed'>: 1}\n"
    assert "not delivered (closed)" in run.stderr


def test_the_root_of_the_package_is_light() -> None:
    script = (
        "import sys, monitor; monitor.OutputPublisher, monitor.OutputEvent\n"
        "print(sorted({'numpy', 'kafka', 'pandas', 'faust'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == "[]\n"
    assert {"OutputEvent", "OutputPublisher", "StreamMonitor"} <= set(dir(monitor))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        monitor.Nothing  # noqa: B018


def test_a_full_event_survives_the_way(make: Make) -> None:
    producer = FakeProducer()
    event = OutputEvent(
        stream="bot", output="é 👩‍👩‍👧", id="1", time=5.0, model=Model(name="m"), attributes={"a": [1, None]}
    )
    with make(lambda: producer) as publisher:
        publisher.publish(event)
    assert producer.events == [event]
