from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
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


def test_what_a_call_returned_goes_out_only_where_it_is_asked_for_and_bounded(recorder: Recorder) -> None:
    with recorder.publisher.record("bot") as recording:
        for response, keep in (({"id": 1}, False), ({"id": 1}, True), (["hit"] * 5_000, True), (object(), True)):
            with recording.call("search") as search:
                search.response(response, keep=keep)
        recording.output = "done"
    kept = [call.response for call in recorder.event.calls]
    assert kept[:2] == [None, {"id": 1}]
    assert kept[2].endswith("[cut: 30,001 characters]")
    assert len(kept[2]) < 4_100
    assert str(kept[3]).startswith("<object object")
    assert all(call.shape for call in recorder.event.calls)


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


# --- who went away ----------------------------------------------------------------------------------------------


class ClientDisconnect(Exception):
    pass


ClientDisconnect.__module__ = "starlette.requests"


class Hangup(ClientDisconnect):
    pass


def test_a_cancelled_coroutine_is_abandoned_and_no_error(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    async def answer(question: str) -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    async def main() -> None:
        task = asyncio.create_task(answer("why?"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    asyncio.run(main())
    event = recorder.event
    assert (event.output, event.finish_reason, event.error) == ("", "abandoned", None)


def test_a_cancelled_stream_keeps_what_was_said(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    async def answer(question: str) -> AsyncIterator[str]:
        yield "Be"
        started.set()
        await asyncio.Event().wait()

    async def read() -> None:
        async for _ in answer("why?"):
            pass

    async def main() -> None:
        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = asyncio.Event()
    asyncio.run(main())
    event = recorder.event
    assert (event.output, event.finish_reason, event.error) == ("Be", "abandoned", None)


@pytest.mark.parametrize("gone", [GeneratorExit, asyncio.CancelledError, ClientDisconnect, Hangup])
def test_a_block_that_its_reader_leaves(recorder: Recorder, gone: type[BaseException]) -> None:
    with pytest.raises(gone), recorder.publisher.record("bot") as recording, recording.call("search"):
        raise gone
    event = recorder.event
    assert (event.finish_reason, event.error, event.calls[0].error) == ("abandoned", None, None)


@pytest.mark.parametrize("real", [TimeoutError, ConnectionResetError, BrokenPipeError, KeyboardInterrupt, SystemExit])
def test_real_errors_stay_errors(recorder: Recorder, real: type[BaseException]) -> None:
    with pytest.raises(real), recorder.publisher.record("bot"):
        raise real
    assert (recorder.event.finish_reason, recorder.event.error) == (None, real.__name__)


def test_a_time_out_inside_the_call_is_an_error(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    async def answer(question: str) -> str:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
        return "never"

    with pytest.raises(TimeoutError):
        asyncio.run(answer("why?"))
    assert recorder.event.error == "TimeoutError"


def test_a_reader_who_leaves_after_the_end_has_read_it_all(recorder: Recorder) -> None:
    @recorder.publisher.record("bot")
    def answer(question: str) -> Iterator[str]:
        recording = current_recording()
        assert recording is not None
        recording.event.finish_reason = "stop"
        yield "Because."

    stream = answer("why?")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert (recorder.event.finish_reason, recorder.event.output) == ("stop", "Because.")


def test_a_block_inside_a_generator_that_is_closed_elsewhere(recorder: Recorder) -> None:
    def answer() -> Iterator[str]:
        with recorder.publisher.record("bot") as call:
            call.output = "Be"
            yield "Be"

    stream = answer()
    contextvars.copy_context().run(next, stream)
    contextvars.copy_context().run(stream.close)  # type: ignore[attr-defined]
    assert recorder.event.finish_reason == "abandoned"


# --- generators are what they were ------------------------------------------------------------------------------


def conversation(question: str) -> Generator[str, str | None, dict[str, int]]:
    """Answers what is sent."""
    said = yield "a"
    while said is not None:
        try:
            said = yield f"got {said}"
        except KeyError as error:
            said = yield f"caught {error.args[0]}"
    return {"usage": 3}


async def conversation_async(question: str) -> AsyncGenerator[str, str | None]:
    said = yield "a"
    while said is not None:
        try:
            said = yield f"got {said}"
        except KeyError as error:
            said = yield f"caught {error.args[0]}"


def test_a_generator_hands_on_send_throw_and_its_value(recorder: Recorder) -> None:
    def outer() -> Generator[str, str | None, dict[str, int]]:
        return (yield from recorder.publisher.record("bot")(conversation)("why?"))

    stream = outer()
    assert next(stream) == "a"
    assert stream.send("hello") == "got hello"
    assert stream.throw(KeyError("x")) == "caught x"
    assert stream.send("again") == "got again"
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == {"usage": 3}
    assert recorder.event.output == "agot hellocaught xgot again"


def test_an_exception_thrown_in_and_not_caught_is_an_error(recorder: Recorder) -> None:
    stream = recorder.publisher.record("bot")(conversation)("why?")
    next(stream)
    with pytest.raises(ValueError, match="no"):
        stream.throw(ValueError("no"))
    assert recorder.event.error == "ValueError: no"


def test_an_asynchronous_generator_hands_on_send_and_throw(recorder: Recorder) -> None:
    async def main() -> None:
        stream = recorder.publisher.record("bot")(conversation_async)("why?")
        assert await anext(stream) == "a"
        assert await stream.asend("hello") == "got hello"
        assert await stream.athrow(KeyError("x")) == "caught x"
        with pytest.raises(StopAsyncIteration):
            await stream.asend(None)

    asyncio.run(main())
    assert recorder.event.output == "agot hellocaught x"


def test_closing_reaches_the_generator_first(recorder: Recorder) -> None:
    ended = []

    @recorder.publisher.record("bot")
    async def answer(question: str) -> AsyncGenerator[str, None]:
        try:
            yield "Be"
        finally:
            await asyncio.sleep(0)
            ended.append(recorder.publisher.pending + recorder.publisher.delivered)

    async def main() -> None:
        stream = answer("why?")
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    assert ended == [0]
    assert recorder.event.finish_reason == "abandoned"


def test_wrapped_functions_are_of_the_same_kind(recorder: Recorder) -> None:
    async def coroutine(question: str, *, tone: str = "dry") -> str:
        return question

    record = recorder.publisher.record("bot")
    for function, is_kind in (
        (conversation, inspect.isgeneratorfunction),
        (conversation_async, inspect.isasyncgenfunction),
        (coroutine, inspect.iscoroutinefunction),
    ):
        wrapped = record(function)  # type: ignore[type-var]
        assert is_kind(wrapped)
        assert inspect.signature(wrapped) == inspect.signature(function)
        assert wrapped.__name__ == function.__name__


def test_a_plain_function_that_returns_one_of_the_others(recorder: Recorder) -> None:
    async def coroutine(question: str) -> str:
        return question.upper()

    record = recorder.publisher.record("bot")
    assert "".join(record(lambda question: conversation(question))("why?")) == "a"
    assert asyncio.run(record(lambda question: coroutine(question))("why?")) == "WHY?"

    async def whole() -> list[str]:
        return [piece async for piece in record(lambda question: conversation_async(question))("why?")]

    assert asyncio.run(whole()) == ["a"]
    assert [event.output for event in recorder.events] == ["a", "WHY?", "a"]


def test_methods_of_classes(recorder: Recorder) -> None:
    class Bot:
        @recorder.publisher.record("bot")  # type: ignore[type-var]
        @classmethod
        def of_class(cls, question: str) -> str:
            return question + cls.__name__

        @recorder.publisher.record("bot")
        def of_object(self, question: str) -> str:
            return question

    assert Bot.of_class("a") == "aBot"  # type: ignore[operator]
    assert Bot().of_object("b") == "b"
    assert [(event.input, event.output) for event in recorder.events] == [("a", "aBot"), ("b", "b")]


# --- input, and outputs of other forms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "input_of", ["question", lambda tenant, question="none", *more, **options: question], ids=["name", "function"]
)
def test_which_argument_is_the_input(recorder: Recorder, input_of: Any) -> None:
    @recorder.publisher.record("bot", input_of=input_of)
    def answer(tenant: str, question: str = "none", *more: str, **options: str) -> str:
        return "Because."

    answer("acme", "why?")
    answer("acme", question="how?")
    answer("acme")
    assert [event.input for event in recorder.events] == ["why?", "how?", "none"]


def test_other_kinds_of_arguments(recorder: Recorder) -> None:
    @recorder.publisher.record("bot", input_of="question")
    def keyword_only(tenant: str, *, question: str) -> str:
        return "x"

    @recorder.publisher.record("bot", input_of="question")
    def any_keyword(**options: str) -> str:
        return "x"

    @recorder.publisher.record("bot")
    def chat(model: Any, messages: list[dict[str, Any]]) -> str:
        return "x"

    keyword_only("acme", question="a")
    any_keyword(tenant="acme", question="b")
    chat(None, messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "c"}])
    assert [event.input for event in recorder.events] == ["a", "b", "c"]


def test_an_argument_that_does_not_exist_is_said_at_once(recorder: Recorder) -> None:
    with pytest.raises(ConfigError, match=r"no such argument \(it has: tenant, text\)"):

        @recorder.publisher.record("bot", input_of="question")
        def answer(tenant: str, text: str) -> str:
            return text

    with pytest.raises(ConfigError, match="not both"):
        recorder.publisher.record("bot", "why?", input_of="question")


def test_a_provider_s_response(recorder: Recorder) -> None:
    def reply(content: str | None, tool_calls: Any = None) -> Any:
        message = SimpleNamespace(role="assistant", content=content, tool_calls=tool_calls)
        return SimpleNamespace(id="r", choices=[SimpleNamespace(message=message)])

    tool = SimpleNamespace(id="t", type="function", function=SimpleNamespace(name="search", arguments='{"q":1}'))
    answers = iter([reply("Because."), reply(None, [tool])])

    @recorder.publisher.record("bot")
    def answer(question: str) -> Any:
        return next(answers)

    answer("why?")
    answer("why?")
    first, second = recorder.events
    assert (first.output, first.steps) == ("Because.", [])
    assert second.output == ""
    assert second.steps == [{"type": "tool_call", "name": "search", "arguments": '{"q":1}'}]


def test_pieces_of_a_provider_s_stream_and_bytes(recorder: Recorder) -> None:
    def chunk(text: str | None) -> Any:
        return SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(content=text))])

    @recorder.publisher.record("bot")
    def chunks(question: str) -> Iterator[Any]:
        yield from (chunk(None), chunk("Be"), chunk("cause."), SimpleNamespace(choices=[]))

    @recorder.publisher.record("bot")
    def raw(question: str) -> Iterator[bytes]:
        yield from (b"gr\xc3", b"\xbc\xc3\x9fe")

    list(chunks("why?"))
    list(raw("why?"))
    assert [event.output for event in recorder.events] == ["Because.", "grüße"]


# --- the application comes first ---------------------------------------------------------------------------------


def test_what_fails_in_the_measuring_does_not_reach_the_application(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    @recorder.publisher.record("bot", input_of=broken)
    def answer(question: str) -> str:
        return question

    @recorder.publisher.record("bot", output_of=broken)
    def stream(question: str) -> Iterator[str]:
        yield question

    assert answer("why?") == "why?"
    assert list(stream("why?")) == ["why?"]
    with recorder.publisher.record("bot") as call:
        call.output = "x"
        call.event.latency = call.event.usage = call.event.calls = None  # type: ignore[assignment]
        call.first_token()
        call.tokens(input=1)
        with call.call("search"):
            pass
    assert recorder.events[0].input is None
    assert "the application is not affected" in caplog.text
    recorder.publisher.strict = True
    with pytest.raises(RuntimeError, match="a bug"):
        answer("why?")
    with pytest.raises(RuntimeError, match="a bug"):
        list(stream("why?"))
    recorder.publisher.strict = False
