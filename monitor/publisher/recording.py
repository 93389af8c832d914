"""`Recording`: measures one model call and publishes it as an output event.

    with publisher.record("support-bot/answer", input=question, model="gpt-4o") as call:
        reply = client.chat(question)
        call.output = reply.text

or as a decorator, where `input_of` names the argument that is the input, and the returned text is the output:

    @publisher.record("support-bot/answer", input_of="question", model="gpt-4o")
    def answer(tenant: str, question: str) -> str: ...

The event is published when the call ends, and also when it raises: then with `error`, and the exception goes on. A
reader who goes away is no error: the finish reason is `abandoned`. What fails in the measuring itself is logged and
does not reach the application, unless the publisher is strict.

May import `monitor.errors`, `monitor.events` and this package but for the client, which makes recordings.
"""

from __future__ import annotations

import codecs
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, TypeVar, cast

import msgspec

from monitor.errors import ConfigError
from monitor.events import Model, OutputEvent, Prompt
from monitor.events.schema import ABANDONED
from monitor.publisher.call_recording import CallRecording
from monitor.publisher.input_finder import FindInput, input_finder
from monitor.publisher.protocol import Publishing
from monitor.publisher.readers_gone import is_reader_gone
from monitor.publisher.responses import last_question, said_by, streamed_text, tools_called_by
from monitor.publisher.scalars import describe

F = TypeVar("F", bound=Callable[..., Any])

_FIELDS = frozenset(OutputEvent.__struct_fields__) - {"stream", "input"}

_current: ContextVar[Recording | None] = ContextVar("oqm_recording", default=None)


def current_recording() -> Recording | None:
    """The recording that this code runs in, so that a function deep below may add its call or the tokens used."""
    return _current.get()


class Recording:
    """One model call being measured; made by `OutputPublisher.record`.

    Attributes
    ----------
    event
        The event as it will be published; set any field of it (`recording.event.cost_usd = 0.01`).

    Used as a context manager (`with` or `async with`) once and by one thread at a time; as a decorator it makes a
    recording for each call. A decorated function may be a coroutine function or a generator of texts, also an
    asynchronous one (a streamed answer: the first text gives the time to the first token, the output is all of them
    joined). It behaves as before: same signature, same kind of function; a generator's return value, `send`, `throw`
    and `close` are handed on.
    """

    def __init__(
        self,
        publisher: Publishing,
        stream: str,
        input: Any = None,
        *,
        input_of: str | Callable[..., Any] | None = None,
        output_of: Callable[[Any], Any] | None = None,
        **fields: Any,
    ) -> None:
        """As `OutputPublisher.record`, which makes it. Raises `ConfigError` for fields that do not exist."""
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown:
            raise ConfigError(f"record(...): an output event has no field {unknown[0]!r}")
        if input is not None and input_of is not None:
            raise ConfigError("record(...): give `input` or `input_of`, not both")
        if isinstance(fields.get("model"), str):
            fields["model"] = Model(name=fields["model"])
        if isinstance(fields.get("prompt"), str):
            fields["prompt"] = Prompt(name=fields["prompt"])
        self._publisher = publisher
        self._stream = stream
        self._input = input
        self._fields = fields
        self._input_of = input_of
        self._output_of = output_of
        self._bytes: codecs.IncrementalDecoder | None = None  # of a stream of bytes, which may cut a character
        self._started = 0.0
        self._token: Token[Recording | None] | None = None
        self.event = self._new_event()

    def _new_event(self) -> OutputEvent:
        # Structs and containers given once to a decorator must not be shared by its calls.
        own: dict[str, Any] = {
            name: msgspec.structs.replace(value) if isinstance(value, msgspec.Struct) else _copied(value)
            for name, value in self._fields.items()
        }
        return OutputEvent(**{"stream": self._stream, "output": None, "input": self._input, **own})

    # --- what the application reports ---------------------------------------------------------------------------

    @property
    def output(self) -> str | None:
        """What the model said; set it before the block ends. Message parts and a provider's response will do, too."""
        return self.event.output

    @output.setter
    def output(self, text: Any) -> None:
        self.event.output = text

    def first_token(self) -> None:
        """The first token is here; later calls change nothing."""
        with self._measuring("the first token's time"):
            if self.event.latency.first_token_s is None:
                self.event.latency.first_token_s = self._elapsed()

    def tokens(self, input: int | None = None, output: int | None = None, context_limit: int | None = None) -> None:
        """Token counts as the provider reports them; None leaves what is known."""
        with self._measuring("the tokens used"):
            usage = self.event.usage
            usage.input_tokens = usage.input_tokens if input is None else input
            usage.output_tokens = usage.output_tokens if output is None else output
            usage.context_limit = usage.context_limit if context_limit is None else context_limit

    def call(self, dependency: str, operation: str | None = None) -> CallRecording:
        """Measure a call to something else (tool, retriever, API) made while answering; a context manager."""
        return CallRecording(self._publisher, self.event, dependency, operation)

    # --- life cycle ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Recording:
        self._started = self._publisher.clock()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            _leave(self._token)
            self._token = None
        self._finish(error)

    async def __aenter__(self) -> Recording:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """One step of a generator is recorded code; what runs between its steps is not."""
        token = _current.set(self)
        try:
            yield
        finally:
            _leave(token)

    @contextmanager
    def _measuring(self, what: str) -> Iterator[None]:
        """What fails in here is logged; the application is not affected unless the publisher is strict."""
        try:
            yield
        except Exception:
            if self._publisher.strict:
                raise
            self._publisher.report_bug(f"recording {what} failed")

    def _finish(self, error: BaseException | None) -> None:
        try:
            event = self.event
            if event.latency.total_s is None:
                event.latency.total_s = self._elapsed()
            if error is not None and is_reader_gone(error):
                # What was said until then is the output.
                event.finish_reason = event.finish_reason or ABANDONED
                event.output = event.output or ""
            elif error is not None and event.error is None:
                event.error = describe(error)
            self._publisher.publish(event)
        except Exception:
            if self._publisher.strict:
                if error is None:  # the application's own error says more
                    raise
            else:
                self._publisher.report_bug("recording an output failed")

    def _elapsed(self) -> float:
        return max(0.0, self._publisher.clock() - self._started)

    # --- as a decorator -----------------------------------------------------------------------------------------

    def __call__(self, function: F) -> F:
        """Record each call of `function`. Raises `ConfigError` where it has no argument of the name `input_of`."""
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        find_input = input_finder(function, self._input, self._input_of)
        wrapper: Callable[..., Any]
        if inspect.isasyncgenfunction(function):
            wrapper = functools.wraps(function)(
                _recorded_stream(function, lambda args, kwargs: self._for_call(find_input, args, kwargs))
            )
        elif inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                return await self._for_call(find_input, args, kwargs)._await(function(*args, **kwargs))

            wrapper = call_async
        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def stream(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                recording = self._for_call(find_input, args, kwargs)
                return (yield from recording._steps(function(*args, **kwargs)))

            wrapper = stream
        else:

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                recording = self._for_call(find_input, args, kwargs)
                recording._started = self._publisher.clock()
                token = _current.set(recording)
                try:
                    result = function(*args, **kwargs)
                except BaseException as error:
                    _leave(token)
                    recording._finish(error)
                    raise
                _leave(token)
                # A plain function that calls one of the other kinds: what it returns is still to be run.
                if type(result) is CoroutineType:
                    return recording._await(result)
                if type(result) is GeneratorType:
                    return recording._steps(result)
                if type(result) is AsyncGeneratorType:
                    return _recorded_stream(lambda: result, lambda args, kwargs: recording)()
                recording._returned(result)
                recording._finish(None)
                return result

            wrapper = call
        return cast(F, wrapper)

    async def _await(self, call: Coroutine[Any, Any, Any]) -> Any:
        with self:
            result = await call
            self._returned(result)
        return result

    def _steps(self, inner: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run a generator, recording what it yields; hands on everything as `yield from` does."""
        self._started = self._publisher.clock()
        proceed: Callable[[], Any] = functools.partial(next, inner)
        try:
            while True:
                try:
                    with self._step():
                        piece = proceed()
                except StopIteration as stop:
                    result = stop.value
                    break
                self._piece(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    with self._step():
                        inner.close()
                    raise
                except BaseException as thrown:
                    proceed = functools.partial(inner.throw, thrown)
                else:
                    proceed = functools.partial(inner.send, sent)
        except BaseException as error:
            self._finish(error)
            raise
        self._finish(None)
        return result

    def _for_call(
        self,
        find_input: FindInput,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Recording:
        try:
            given = find_input(args, kwargs)
            if given is not None and not isinstance(given, str):
                given = last_question(given) or given
        except Exception:
            if self._publisher.strict:
                raise
            self._publisher.report_bug("finding an output's input (input_of) failed")
            given = None  # the call is recorded without
        return Recording(self._publisher, self._stream, given, output_of=self._output_of, **self._fields)

    def _returned(self, result: Any) -> None:
        if self.event.output is not None:  # the function has said it itself, through `current_recording`
            return
        if self._output_of is not None:
            try:
                self.event.output = self._output_of(result)
            except Exception as error:  # the function has succeeded; its caller gets the result
                if self._publisher.strict:
                    raise
                self.event.error = f"output_of: {describe(error)}"
        elif isinstance(result, str) or result is None:
            self.event.output = result
        else:
            try:
                said = said_by(result)
                if not self.event.steps:
                    self.event.steps = tools_called_by(result)
            except Exception:  # an object that cannot be looked into
                said = None
            self.event.output = result if said is None else said  # `publish` converts it, or refuses it by name

    def _piece(self, piece: Any) -> None:
        try:
            text = piece
            if self._output_of is not None:
                try:
                    text = self._output_of(piece)
                except Exception as error:  # as above: the stream goes on
                    if self._publisher.strict:
                        raise
                    self.event.error = f"output_of: {describe(error)}"
                    return
            elif isinstance(piece, (bytes, bytearray, memoryview)):
                if self._bytes is None:
                    self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
                text = self._bytes.decode(bytes(piece))
            elif not isinstance(piece, str):
                text = streamed_text(piece)
            if isinstance(text, str) and text:
                self.first_token()
                self.event.output = (self.event.output or "") + text
        except Exception:
            if self._publisher.strict:
                raise
            self._publisher.report_bug("recording a piece of an output failed")


def _recorded_stream(
    function: Callable[..., AsyncGenerator[Any, Any]],
    recording_of: Callable[[tuple[Any, ...], dict[str, Any]], Recording],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """As `Recording._steps`, for a function that makes an asynchronous generator: the function to call in its place."""

    async def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        recording = recording_of(args, kwargs)
        recording._started = recording._publisher.clock()
        inner = function(*args, **kwargs)
        proceed: Callable[[], Any] = functools.partial(anext, inner)
        try:
            while True:
                try:
                    with recording._step():
                        piece = await proceed()
                except StopAsyncIteration:
                    break
                recording._piece(piece)
                try:
                    sent = yield piece
                except GeneratorExit:
                    with recording._step():
                        await inner.aclose()
                    raise
                except BaseException as thrown:
                    proceed = functools.partial(inner.athrow, thrown)
                else:
                    proceed = functools.partial(inner.asend, sent)
        except BaseException as error:
            recording._finish(error)
            raise
        recording._finish(None)

    return stream


def _leave(token: Token[Recording | None]) -> None:
    with suppress(ValueError):  # a generator may be closed in another context than it ran in, which is gone
        _current.reset(token)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    return value
