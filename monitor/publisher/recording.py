"""`Recording`: measures one model call and publishes it as an output event.

    with publisher.record("support-bot/answer", input=question, model="gpt-4o") as call:
        reply = client.chat(question)
        call.output = reply.text

or as a decorator, where the first text argument is the input and the returned text the output:

    @publisher.record("support-bot/answer", model="gpt-4o")
    def answer(question: str) -> str: ...

The event is published when the call ends, and also when it raises: then with `error`, and the exception goes on. May
import `monitor.events` and `monitor.publisher.client`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar, cast

import msgspec

from monitor.errors import ConfigError
from monitor.events import Call, Model, OutputEvent, Prompt
from monitor.publisher.client import OutputPublisher
from monitor.publisher.shape import response_shape

F = TypeVar("F", bound=Callable[..., Any])

MAX_ERROR_CHARS = 500
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

    Used as a context manager once and by one thread at a time; as a decorator it makes a recording for each call. A
    decorated function may be a coroutine function or a generator of texts (a streamed answer: the first text gives the
    time to the first token, the output is all of them joined).
    """

    def __init__(
        self,
        publisher: OutputPublisher,
        stream: str,
        input: str | None = None,
        *,
        output_of: Callable[[Any], str | None] | None = None,
        **fields: Any,
    ) -> None:
        """`output_of` tells a decorated function's output from what it returns, where that is no text."""
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown:
            raise ConfigError(f"record(...): an output event has no field {unknown[0]!r}")
        if isinstance(fields.get("model"), str):
            fields["model"] = Model(name=fields["model"])
        if isinstance(fields.get("prompt"), str):
            fields["prompt"] = Prompt(name=fields["prompt"])
        self._publisher = publisher
        self._stream = stream
        self._input = input
        self._fields = fields
        self._output_of = output_of
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

    # --- what the application tells -----------------------------------------------------------------------------

    @property
    def output(self) -> str | None:
        """What the model said; set it before the block ends."""
        return self.event.output

    @output.setter
    def output(self, text: str | None) -> None:
        self.event.output = text

    def first_token(self) -> None:
        """The first token is here; later calls change nothing."""
        if self.event.latency.first_token_s is None:
            self.event.latency.first_token_s = self._elapsed()

    def tokens(self, input: int | None = None, output: int | None = None, context_limit: int | None = None) -> None:
        """Token counts as the provider reports them; None leaves what is known."""
        usage = self.event.usage
        usage.input_tokens = usage.input_tokens if input is None else input
        usage.output_tokens = usage.output_tokens if output is None else output
        usage.context_limit = usage.context_limit if context_limit is None else context_limit

    def call(self, dependency: str, operation: str | None = None) -> CallRecording:
        """Measure a call to something else (tool, retriever, API) made while answering; a context manager."""
        return CallRecording(self, dependency, operation)

    # --- life cycle ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Recording:
        self._started = self._publisher.clock()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        self._finish(error)

    @contextmanager
    def _streaming(self) -> Iterator[None]:
        """As the block itself, but for generators: between their steps other code runs, which is not recorded."""
        self._started = self._publisher.clock()
        try:
            yield
        except BaseException as error:
            self._finish(error)
            raise
        self._finish(None)

    @contextmanager
    def _step(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def _finish(self, error: BaseException | None) -> None:
        event = self.event
        if event.latency.total_s is None:
            event.latency.total_s = self._elapsed()
        if isinstance(error, GeneratorExit):
            # The reader of a stream went away: what was said until then is the output.
            event.finish_reason = event.finish_reason or "abandoned"
            event.output = event.output or ""
        elif error is not None and event.error is None:
            event.error = describe(error)
        try:
            self._publisher.publish(event)
        except Exception:
            if error is None:  # strict; the application's own error says more
                raise

    def _elapsed(self) -> float:
        return max(0.0, self._publisher.clock() - self._started)

    # --- as a decorator -----------------------------------------------------------------------------------------

    def __call__(self, function: F) -> F:
        """Record each call of `function`."""
        wrapper: Callable[..., Any]
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def stream_async(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                recording = self._for_call(args, kwargs)
                with recording._streaming():
                    async with aclosing(function(*args, **kwargs)) as pieces:
                        while True:
                            with recording._step():
                                try:
                                    piece = await anext(pieces)
                                except StopAsyncIteration:
                                    break
                            recording._piece(piece)
                            yield piece

            wrapper = stream_async
        elif inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                recording = self._for_call(args, kwargs)
                with recording:
                    result = await function(*args, **kwargs)
                    recording._returned(result)
                    return result

            wrapper = call_async
        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
                recording = self._for_call(args, kwargs)
                with recording._streaming(), closing(function(*args, **kwargs)) as pieces:
                    while True:
                        with recording._step():
                            try:
                                piece = next(pieces)
                            except StopIteration:
                                break
                        recording._piece(piece)
                        yield piece

            wrapper = stream
        else:

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                recording = self._for_call(args, kwargs)
                with recording:
                    result = function(*args, **kwargs)
                    recording._returned(result)
                    return result

            wrapper = call
        return cast(F, wrapper)

    def _for_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
        given = self._input
        if given is None:
            given = next((item for item in (*args, *kwargs.values()) if isinstance(item, str)), None)
        return Recording(self._publisher, self._stream, given, output_of=self._output_of, **self._fields)

    def _returned(self, result: Any) -> None:
        if self.event.output is not None:  # the function has said it itself, through `current_recording`
            return
        if self._output_of is not None:
            try:
                self.event.output = self._output_of(result)
            except Exception as error:  # the function has succeeded; its caller gets the result
                self.event.error = f"output_of: {describe(error)}"
        elif isinstance(result, str):
            self.event.output = result

    def _piece(self, piece: Any) -> None:
        text = piece
        if self._output_of is not None:
            try:
                text = self._output_of(piece)
            except Exception as error:  # as above: the stream goes on
                self.event.error = f"output_of: {describe(error)}"
                return
        if isinstance(text, str) and text:
            self.first_token()
            self.event.output = (self.event.output or "") + text


class CallRecording:
    """One call to a dependency being measured; made by `Recording.call`.

    `status` is the dependency's own word or HTTP code. An exception that leaves the block is the call's `error`, and
    goes on.
    """

    def __init__(self, recording: Recording, dependency: str, operation: str | None) -> None:
        self._recording = recording
        self._started = 0.0
        self._call = Call(dependency=dependency, operation=operation)

    @property
    def status(self) -> str | int | None:
        """The dependency's own word or HTTP code."""
        return self._call.status

    @status.setter
    def status(self, status: str | int | None) -> None:
        self._call.status = status

    def response(self, response: Any) -> None:
        """Remember the response's structure (not its values), so that a change of its format is seen."""
        try:
            self._call.shape = response_shape(response)
        except Exception:  # an object that cannot be looked into must not fail the application's call
            self._call.shape = None

    def fail(self, error: str) -> None:
        """The call failed without raising."""
        self._call.error = error[:MAX_ERROR_CHARS]

    def __enter__(self) -> CallRecording:
        self._started = self._recording._publisher.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call.duration_s = max(0.0, self._recording._publisher.clock() - self._started)
        if error is not None:
            self._call.error = describe(error)
        self._recording.event.calls.append(self._call)


def describe(error: BaseException) -> str:
    """An exception as the text of an event: its type first, so that errors of one kind look alike."""
    try:
        text = str(error)
    except Exception:  # an exception's own __str__ may be broken
        text = ""
    name = type(error).__name__
    return f"{name}: {text}"[:MAX_ERROR_CHARS] if text else name


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    return value
