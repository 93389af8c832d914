"""A running event loop goes on, broker or no broker.

No time is measured. A broker confirms only after the loop has made some steps, and waiting for room would take an hour:
whatever blocks the loop makes the events undelivered, or the test run out of its time.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

from monitor.errors import BrokerError
from monitor.events import OutputEvent
from monitor.publisher import OutputPublisher, Undelivered
from tests.publisher.fake import FakeProducer

EVENT = OutputEvent(stream="bot", output="hi")
STEPS = 200
AN_HOUR = 3600.0


async def confirm_after_steps(producer: FakeProducer, steps: int = STEPS) -> int:
    """The broker's answer, which depends on the loop going on; returns the steps made."""
    made = 0
    while made < steps or not producer.futures:
        await asyncio.sleep(0)
        made += 1
    for future in producer.futures:
        future.confirm()
    return made


async def test_a_full_buffer_never_waits() -> None:
    producer = FakeProducer(hold=True)
    publisher = OutputPublisher(producer=lambda: producer, buffer_events=1, block_s=AN_HOUR)
    confirmed = asyncio.create_task(confirm_after_steps(producer))

    @publisher.record("bot")
    async def answer(question: str) -> str:
        await asyncio.sleep(0)
        return question

    assert await asyncio.gather(*(answer(str(i)) for i in range(100))) == [str(i) for i in range(100)]
    assert publisher.undelivered == {Undelivered.BUFFER_FULL: 99}
    assert await confirmed >= STEPS
    assert await publisher.aclose()
    assert publisher.delivered == 1


async def test_async_with_waits_without_stopping_the_loop() -> None:
    producer = FakeProducer(hold=True)
    async with OutputPublisher(producer=lambda: producer) as publisher:
        publisher.publish(EVENT)
        confirmed = asyncio.create_task(confirm_after_steps(producer))
    assert (publisher.delivered, publisher.undelivered) == (1, {})
    assert await confirmed >= STEPS
    assert producer.closed


async def test_aflush_waits_without_stopping_the_loop() -> None:
    producer = FakeProducer(hold=True)
    publisher = OutputPublisher(producer=lambda: producer)
    publisher.publish(EVENT)
    confirmed = asyncio.create_task(confirm_after_steps(producer))
    assert await publisher.aflush()
    assert await confirmed >= STEPS
    assert publisher.close()


async def test_close_and_flush_do_not_wait_in_a_loop(caplog: pytest.LogCaptureFixture) -> None:
    producer = FakeProducer(hold=True)
    with OutputPublisher(producer=lambda: producer) as publisher:
        publisher.publish(EVENT)
        assert not publisher.flush(AN_HOUR)
        assert "aflush" in caplog.text
    assert await publisher.aclose()  # the thread that closes goes on
    assert not publisher.publish(EVENT)
    assert await confirm_after_steps(producer) >= STEPS
    for thread in threading.enumerate():
        if thread.name == "oqm-publisher-close":
            await asyncio.to_thread(thread.join)
    assert producer.closed
    assert publisher.undelivered == {Undelivered.CLOSED: 1}
    assert publisher.delivered == 1


async def test_a_strict_publisher_says_what_was_left() -> None:
    publisher = OutputPublisher(producer=lambda: FakeProducer(hold=True), strict=True)
    publisher.publish(EVENT)
    with pytest.raises(BrokerError, match="1 output events were not delivered"):
        await publisher.aclose(0.0)


async def test_recordings_in_a_coroutine() -> None:
    producer = FakeProducer()
    async with OutputPublisher(producer=lambda: producer) as publisher:
        async with publisher.record("bot", input="Why?") as call:
            await asyncio.sleep(0)
            call.output = "Because."
        with pytest.raises(KeyError):
            async with publisher.record("bot"):
                raise KeyError("x")
    first, second = producer.events
    assert (first.input, first.output) == ("Why?", "Because.")
    assert second.error == "KeyError: 'x'"


def run(script: str) -> Any:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)


def test_the_constructor_imports_nothing_large_on_the_loop() -> None:
    script = (
        "import asyncio, sys\n"
        "from monitor import OutputEvent, OutputPublisher\n"
        "async def main():\n"
        "    publisher = OutputPublisher('127.0.0.1:1')\n"
        "    print('kafka' in sys.modules)\n"
        "    publisher.publish(OutputEvent(stream='a', output='b'))\n"
        "    print('kafka' in sys.modules)\n"
        "    await publisher.aclose(0.1)\n"
        "    print(dict(publisher.undelivered))\n"
        "    try:\n"
        "        async with OutputPublisher('127.0.0.1:1', kafka={'sasl_mecanism': 'PLAIN'}): pass\n"
        "    except Exception as error: print(error)\n"
        "asyncio.run(main())\n"
    )
    done = run(script)
    assert done.returncode == 0, done.stderr
    before, after, undelivered, error = done.stdout.splitlines()
    assert (before, after) == ("False", "False")
    assert undelivered == "{<Undelivered.CLOSED: 'closed'>: 1}"
    assert "no option 'sasl_mecanism'" in error


def test_what_a_loop_left_to_a_thread_is_sent_before_the_process_ends() -> None:
    script = (
        "import asyncio, threading\n"
        "from monitor import OutputEvent, OutputPublisher\n"
        "from tests.publisher.fake import FakeProducer\n"
        "main_is_over = threading.Event()\n"
        "class Late(FakeProducer):\n"
        "    def send(self, *args, **kwargs):\n"
        "        main_is_over.wait()\n"
        "        print('sent')\n"
        "        return super().send(*args, **kwargs)\n"
        "async def main():\n"
        "    publisher = OutputPublisher(producer=Late)\n"
        "    publisher.publish(OutputEvent(stream='a', output='b'))\n"
        "    assert not publisher.close()\n"
        "asyncio.run(main())\n"
        "main_is_over.set()\n"
    )
    done = run(script)
    assert (done.returncode, done.stdout) == (0, "sent\n"), done.stderr
    assert not done.stderr
