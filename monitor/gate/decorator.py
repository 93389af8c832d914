"""`@gate.action(...)`: a function that runs only where the gate lets it pass, and once for a key.

For each call: ask, claim, run, report. The function's result is kept with the action, and later calls with the same key
get it without running. May import its neighbours in this package but for the client, which makes it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import string
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from monitor.actions.messages import GateAnswer
from monitor.actions.policy import Answer
from monitor.errors import ConfigError
from monitor.gate.claims import Claim
from monitor.gate.outcomes import (
    FellBack,
    HandedOver,
    Held,
    NothingHappened,
    NotRun,
    OutcomeUnknown,
    Rejected,
    Undone,
)
from monitor.gate.wire import Replayed

if TYPE_CHECKING:
    from monitor.gate.client import Gate

F = TypeVar("F", bound=Callable[..., Any])

KEY_ARGUMENT = "idempotency_key"
"""A function with a parameter of this name is given the action's key, for the system that it calls."""
_NOT_RUN: dict[str, type[NotRun]] = {"rejected": Rejected, "undone": Undone}
_BY_ANSWER: dict[Answer, type[NotRun]] = {
    Answer.HOLD: Held,
    Answer.FALL_BACK: FellBack,
    Answer.HAND_OVER: HandedOver,
}


class Declared:
    """What is declared of an action; called with the function that carries it out.

    Parameters
    ----------
    gate, kind
        Who is asked, and the kind of action in the settings.
    key
        Business object and occasion, as a template of arguments (`"email:{lead}:{campaign}"`; `:` and `%` in a value
        are percent-encoded, so that two objects cannot make one key) or a function of all arguments. None: no key, so
        each call is another action.
    stream
        The stream whose output it is.
    text, input, target, confidence, event
        The argument that holds the output's text, what it answers, whom it reaches, how sure the application is, the
        output's id: its name, or a function of all arguments.
    fields
        Names of arguments that must be the same whenever the key comes again (recipient, amount), or a function of all
        arguments that returns them as a mapping.
    attributes
        A function of all arguments: attributes as in output events.
    undo
        How it is undone: a template of arguments, or a function of them.
    nothing_happened
        Exceptions by which the function says that the effect did not take place, beside `NothingHappened`. After any
        other one it may have taken place, and the action's outcome is unknown.
    reconcile
        A function of the key that asks the receiving system whether it happened: its result, or None where it did not.
        Called for an action whose outcome is unknown.
    otherwise
        Called with a `NotRun` in its place; what it returns is the call's result.

    Raises `ConfigError` where an argument is named that the function does not have.
    """

    def __init__(
        self,
        gate: Gate,
        kind: str,
        *,
        key: str | Callable[..., str] | None = None,
        stream: str = "",
        fields: Sequence[str] | Callable[..., dict[str, Any]] = (),
        undo: str | Callable[..., str] | None = None,
        attributes: Callable[..., dict[str, str]] | None = None,
        nothing_happened: type[BaseException] | tuple[type[BaseException], ...] = (),
        reconcile: Callable[[str], Any] | None = None,
        otherwise: Callable[[NotRun], Any] | None = None,
        **arguments: str | Callable[..., Any],
    ) -> None:
        unknown = sorted(arguments.keys() - _ARGUMENTS.keys())
        if unknown:
            raise ConfigError(f"action({kind!r}): there is nothing called {unknown[0]!r} to declare")
        self._gate, self._kind, self._stream = gate, kind, stream
        self._key, self._undo, self._fields, self._attributes = key, undo, fields, attributes
        self._arguments = arguments
        declared: tuple[type[BaseException], ...] = (
            nothing_happened if isinstance(nothing_happened, tuple) else (nothing_happened,)
        )
        self._nothing_happened: tuple[type[BaseException], ...] = (NothingHappened, *declared)
        self._reconcile, self._otherwise = reconcile, otherwise

    def __call__(self, function: F) -> F:
        """The function, gated. Coroutine functions stay such: the monitor is asked in a thread."""
        signature = inspect.signature(function)
        self._refuse_unknown_arguments(function, signature)
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise ConfigError(f"action({self._kind!r}): {function.__name__} is a generator, whose end nobody waits for")
        takes_key = KEY_ARGUMENT in signature.parameters
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                try:
                    return await self._run_async(function, self._bound(signature, args, kwargs), takes_key)
                except NotRun as error:
                    result = self._instead(error)
                    return await result if inspect.isawaitable(result) else result

            return cast(F, _without_key(call_async, signature))

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return self._run(function, self._bound(signature, args, kwargs), takes_key)
            except NotRun as error:
                return self._instead(error)

        return cast(F, _without_key(call, signature))

    def _instead(self, error: NotRun) -> Any:
        if self._otherwise is None:
            raise error
        return self._otherwise(error)

    # --- one call -----------------------------------------------------------------------------------------------

    def _run(self, function: Callable[..., Any], bound: inspect.BoundArguments, takes_key: bool) -> Any:
        answer = self._ask(bound)
        try:
            taken = self._gate.claims.take(self._kind, answer)
        except OutcomeUnknown as unknown:
            if self._reconcile is None:
                raise
            found = self._reconcile(answer.key)
            taken = self._resolved(answer, unknown, found)
        if isinstance(taken, Replayed):
            return msgspec.json.decode(taken.result)
        try:
            result = function(*bound.args, **_with_key(bound, taken.key, takes_key))
        except BaseException as error:
            self._report_error(taken, error)
            raise
        taken.done(result)
        return result

    async def _run_async(self, function: Callable[..., Any], bound: inspect.BoundArguments, takes_key: bool) -> Any:
        answer = await asyncio.to_thread(self._ask, bound)
        try:
            taken = await asyncio.to_thread(self._gate.claims.take, self._kind, answer)
        except OutcomeUnknown as unknown:
            if self._reconcile is None:
                raise
            found = self._reconcile(answer.key)
            found = await found if inspect.isawaitable(found) else found
            taken = await asyncio.to_thread(self._resolved, answer, unknown, found)
        if isinstance(taken, Replayed):
            return msgspec.json.decode(taken.result)
        try:
            result = await function(*bound.args, **_with_key(bound, taken.key, takes_key))
        except BaseException as error:
            report = asyncio.get_running_loop().run_in_executor(None, self._report_error, taken, error)
            if isinstance(error, Exception):  # a task that is cancelled waits for nothing
                await asyncio.shield(report)
            raise
        await asyncio.shield(asyncio.to_thread(taken.done, result))
        return result

    def _ask(self, bound: inspect.BoundArguments) -> GateAnswer:
        asked = self._proposal(bound)
        answer = self._gate.ask(self._kind, **asked)
        if answer.state in _NOT_RUN:
            raise _NOT_RUN[answer.state](answer.key, answer.reasons)
        if answer.answer is not Answer.PASS:
            raise _BY_ANSWER[answer.answer](answer.key, answer.reasons, answer.expires_at)
        return answer

    def _resolved(self, answer: GateAnswer, unknown: OutcomeUnknown, found: Any) -> Claim | Replayed:
        """What the receiving system says settles it: the result, or a new claim where nothing happened."""
        if found is not None:
            self._gate.claims.resolve(answer.key, "done", "The receiving system has it.", found)
            return Replayed(msgspec.json.encode(found))
        self._gate.claims.resolve(answer.key, "failed", "The receiving system does not have it.")
        return self._gate.claims.take(self._kind, answer)

    def _report_error(self, claim: Claim, error: BaseException) -> None:
        why = f"{type(error).__name__}: {error}"
        if isinstance(error, self._nothing_happened):
            claim.failed(why)
        else:
            claim.lost(why)

    # --- what the arguments say ---------------------------------------------------------------------------------

    def _bound(
        self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> inspect.BoundArguments:
        if KEY_ARGUMENT in signature.parameters:
            if KEY_ARGUMENT in kwargs:
                raise TypeError(f"{KEY_ARGUMENT} is filled in by the gate")
            kwargs = {**kwargs, KEY_ARGUMENT: None}
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        bound.arguments.pop(KEY_ARGUMENT, None)
        return bound

    def _proposal(self, bound: inspect.BoundArguments) -> dict[str, Any]:
        asked: dict[str, Any] = {"stream": self._stream}
        if self._key is not None:
            asked["key"] = _filled(self._key, bound)
        if self._undo is not None:
            asked["undo"] = _filled(self._undo, bound)
        for name, source in self._arguments.items():
            value = source(*bound.args, **bound.kwargs) if callable(source) else bound.arguments[source]
            asked[_ARGUMENTS[name]] = str(value) if name == "target" else value
        if callable(self._fields):
            asked["fields"] = self._fields(*bound.args, **bound.kwargs)
        else:
            asked["fields"] = {name: bound.arguments[name] for name in self._fields}
        if self._attributes is not None:
            asked["attributes"] = self._attributes(*bound.args, **bound.kwargs)
        return asked

    def _refuse_unknown_arguments(self, function: Callable[..., Any], signature: inspect.Signature) -> None:
        named = [source for source in self._arguments.values() if isinstance(source, str)]
        named += [] if callable(self._fields) else list(self._fields)
        for template in (self._key, self._undo):
            if isinstance(template, str):
                try:
                    parsed = [name for _, name, _, _ in _ENCODED.parse(template) if name is not None]
                except ValueError as error:
                    raise ConfigError(f"action({self._kind!r}): {template!r} is no template: {error}") from None
                named += [name.split(".")[0].split("[")[0] for name in parsed]
        for name in named:
            if name not in signature.parameters or name == KEY_ARGUMENT:
                known = ", ".join(each for each in signature.parameters if each != KEY_ARGUMENT) or "none"
                what = f"{function.__name__} has no argument {name!r} (it has: {known})"
                raise ConfigError(f"action({self._kind!r}): {what}")


_ARGUMENTS = {
    "text": "output",
    "input": "input",
    "target": "target",
    "confidence": "confidence",
    "event": "event",
    "causes": "causes",
    "conversation": "conversation",
}
"""What may be declared by an argument's name or a function, and the field of `GateRequest` that it fills."""


class _Encoded(string.Formatter):
    """A template whose values cannot be taken for parts of it: `:` and `%` in them are percent-encoded."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return text.replace("%", "%25").replace(":", "%3A")


_ENCODED = _Encoded()


def _filled(template: str | Callable[..., str], bound: inspect.BoundArguments) -> str:
    if callable(template):
        return template(*bound.args, **bound.kwargs)
    return _ENCODED.vformat(template, (), bound.arguments)


def _with_key(bound: inspect.BoundArguments, key: str, takes_key: bool) -> dict[str, Any]:
    return {**bound.kwargs, KEY_ARGUMENT: key} if takes_key else bound.kwargs


def _without_key(call: Callable[..., Any], signature: inspect.Signature) -> Callable[..., Any]:
    """The gate fills the key in, so that callers do not see it."""
    shown = [parameter for name, parameter in signature.parameters.items() if name != KEY_ARGUMENT]
    call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return call
