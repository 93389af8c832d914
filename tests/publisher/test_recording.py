from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.errors import ConfigError, InvalidEvent
from monitor.events import Call, Latency, Model, OutputEvent, Prompt, Usage
from monitor.publisher import OutputPublisher, current_recording
from tests.publisher.fake import Clock, FakeProducer


class Recorder:
    """A publisher on a clock that the test moves, and what it has published."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.producer = FakeProducer()
        self.publisher = OutputPublisher(producer=lambda: self.producer, clock=self.clock)

    @property
    def events(self) -> list[OutputEvent]:
        assert self.publisher.flush(30)
        return self.producer.events

    @property
    def event(self) -> OutputEvent:
        [event] = self.events
        return event


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.publisher.close()


def test_a_block_is_measured(recorder: Recorder) -> None:
    with recorder.publisher.record(
        "bot/answer", input="Why?", model="m", prompt="answer", attributes={"tenant": "a"}
    ) as call:
        recorder.clock.advance(0.25)
        call.first_token()
        recorder.clock.advance(1.0)
        call.first_token()
        call.tokens(input=10, output=20)
        call.tokens(context_limit=100)
        call.event.cost_usd = 0.5
        call.output = "Because."
    event = recorder.event
    assert (event.stream, event.input, event.output, event.error) == ("bot/answer", "Why?", "Because.", None)
    assert event.latency == Latency(total_s=1.25, first_token_s=0.25)
    assert event.usage == Usage(input_tokens=10, output_tokens=20, context_limit=100)
    assert (event.model, event.prompt) == (Model(name="m"), Prompt(name="answer"))
    assert event.attributes == {"tenant": "a"}
    assert event.cost_usd == 0.5


def test_an_error_is_published_and_goes_on(recorder: Recorder) -> None:
    def answer() -> None:
        with recorder.publisher.record("bot", input="Why?"):
            recorder.clock.advance(30.0)
            raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        answer()
    event = recorder.event
    assert (event.output, event.error, event.latency.total_s) == (None, "TimeoutError: too slow", 30.0)


def test_what_was_said_before_the_error_is_kept(recorder: Recorder) -> None:
    def answer() -> None:
        with recorder.publisher.record("bot") as call:
            call.output = "Half an"
            raise KeyError("x")

    with pytest.raises(KeyError):
        answer()
    assert (recorder.event.output, recorder.event.error) == ("Half an", "KeyError: 'x'")


def test_calls_to_others_are_measured(recorder: Recorder) -> None:
    with recorder.publisher.record("bot") as recording:
        with recording.call("search", operation="query") as search:
            recorder.clock.advance(0.5)
            search.status = 200
            search.response({"hits": [{"id": 1}, {"id": 2}]})
        with suppress(ConnectionError), recording.call("crm"):
            recorder.clock.advance(2.0)
            raise ConnectionError("reset")
        with recording.call("mail") as mail:
            mail.fail("quota")
        recording.output = "done"
    search_call, crm, mail_call = recorder.event.calls
    assert search_call == Call(
        dependency="search", operation="query", status=200, duration_s=0.5, shape=search_call.shape
    )
    assert search_call.shape
    assert crm == Call(dependency="crm", duration_s=2.0, error="ConnectionError: reset")
    assert mail_call.error == "quota"


def test_a_block_without_output_is_the_applications_mistake(recorder: Recorder) -> None:
    with recorder.publisher.record("bot"):
        pass
    assert recorder.publisher.undelivered == {"not_encodable": 1}
    recorder.publisher.strict = True
    with pytest.raises(InvalidEvent, match="neither output nor error"), recorder.publisher.record("bot"):
        pass
    with pytest.raises(KeyError), recorder.publisher.record(""):  # strict, but its own error says more
        raise KeyError


def test_fields_that_do_not_exist_are_said_at_once(recorder: Recorder) -> None:
    with pytest.raises(ConfigError, match="no field 'modell'"):
        recorder.publisher.record("bot", modell="m")


def test_a_function(recorder: Recorder) -> None:
    @recorder.publisher.record("bot", model="m", attributes={"tenant": "a"})
    def answer(client: object, question: str, *, tone: str = "dry") -> str:
        """Answers."""
        recording = current_recording()
        assert recording is not None
        recording.event.attributes["tone"] = tone
        with recording.call("search"):
            recorder.clock.advance(1.0)
        return question.upper()

    assert answer(None, "why?") == "WHY?"
    assert answer(None, question="how?", tone="warm") == "HOW?"
    assert (answer.__name__, answer.__doc__) == ("answer", "Answers.")
    assert current_recording() is None
    first, second = recorder.events
    assert (first.input, first.output, first.latency.total_s) == ("why?", "WHY?", 1.0)
    assert (second.input, second.output) == ("how?", "HOW?")
    # What one call adds is not seen by the next.
    assert first.attributes == {"tenant": "a", "tone": "dry"}
    assert second.attributes == {"tenant": "a", "tone": "warm"}
    assert [len(event.calls) for event in (first, second)] == [1, 1]


def test_a_function_that_raises(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    def answer(question: str) -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        answer("why?")
    assert recorder.event.error == "ValueError: no"


def test_a_function_that_returns_an_object(recorder: Recorder) -> None:
    @recorder.publisher.record("bot", output_of=lambda reply: reply.text)
    def answer(question: str) -> Any:
        return reply

    reply: Any = SimpleNamespace(text="Because.")
    assert answer("why?") is reply
    reply = object()
    assert answer("why?") is reply  # the caller gets its result, whatever `output_of` makes of it
    first, second = recorder.events
    assert first.output == "Because."
    assert second.error is not None
    assert second.error.startswith("output_of: AttributeError")


def test_a_coroutine_function(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    async def answer(question: str) -> str:
        await asyncio.sleep(0)
        recording = current_recording()
        assert recording is not None
        assert recording.event.input == question
        recorder.clock.advance(1.0)
        return question.upper()

    async def main() -> list[str]:
        return await asyncio.gather(*(answer(text) for text in ("a", "b", "c")))

    assert asyncio.run(main()) == ["A", "B", "C"]
    assert {(event.input, event.output) for event in recorder.events} == {("a", "A"), ("b", "B"), ("c", "C")}


def test_a_stream_of_tokens(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    def answer(question: str) -> Iterator[str]:
        assert current_recording() is not None
        for piece in ("", "Be", "cause."):
            recorder.clock.advance(0.5)
            yield piece

    for _ in answer("why?"):
        assert current_recording() is None  # the reader's own code is not part of the call
    event = recorder.event
    assert (event.output, event.latency) == ("Because.", Latency(total_s=1.5, first_token_s=1.0))


def test_a_stream_that_its_reader_leaves(recorder: Recorder) -> None:
    ended = []

    @recorder.publisher.record("bot")
    def answer(question: str) -> Iterator[str]:
        try:
            yield "Be"
            yield "cause."
        finally:
            ended.append(True)

    stream = answer("why?")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    event = recorder.event
    assert (event.output, event.finish_reason, event.error) == ("Be", "abandoned", None)
    assert ended == [True]


def test_a_stream_that_breaks(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    def answer(question: str) -> Iterator[str]:
        yield "Be"
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        list(answer("why?"))
    assert (recorder.event.output, recorder.event.error) == ("Be", "ConnectionError: reset")


def test_an_async_stream(recorder: Recorder) -> None:
    @recorder.publisher.record("bot", output_of=lambda piece: piece["text"])
    async def answer(question: str) -> AsyncIterator[dict[str, str]]:
        for text in ("Be", "cause."):
            await asyncio.sleep(0)
            recorder.clock.advance(0.5)
            yield {"text": text}

    async def whole() -> list[dict[str, str]]:
        return [piece async for piece in answer("why?")]

    async def part() -> None:
        stream = answer("why?")
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    assert len(asyncio.run(whole())) == 2
    asyncio.run(part())
    first, second = recorder.events
    assert (first.output, first.latency) == ("Because.", Latency(total_s=1.0, first_token_s=0.5))
    assert (second.output, second.finish_reason) == ("Be", "abandoned")


def test_recordings_may_nest(recorder: Recorder) -> None:
    with recorder.publisher.record("outer") as outer:
        with recorder.publisher.record("inner") as inner:
            assert current_recording() is inner
            inner.output = "in"
        assert current_recording() is outer
        outer.output = "out"
    assert [event.stream for event in recorder.events] == ["inner", "outer"]


def test_long_and_broken_errors_are_kept_short(recorder: Recorder) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    for error in (ValueError("x" * 5000), Broken()):
        with pytest.raises(type(error)), recorder.publisher.record("bot"):
            raise error
    first, second = recorder.events
    assert first.error is not None
    assert len(first.error) == 500
    assert second.error == "Broken"
