"""Where a decorated function's input is found among its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from monitor.errors import ConfigError
from monitor.publisher.responses import last_question

FindInput: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""A function of a call's positional and named arguments that returns its input."""


def input_finder(function: Callable[..., Any], given: Any, find: str | Callable[..., Any] | None) -> FindInput:
    """What finds the input of each call of `function` among its arguments.

    `given` is the input of every call, where it is not None; `find` is the name of an argument, a function of all
    arguments, or None: the first text. Raises `ConfigError` where `function` has no argument of the name.
    """
    if given is not None:
        return lambda args, kwargs: given
    if find is None:
        return _first_text
    if callable(find):
        chosen = find
        return lambda args, kwargs: chosen(*args, **kwargs)
    name = find
    parameters = inspect.signature(function).parameters
    parameter = parameters.get(name)
    if parameter is None:
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            known = ", ".join(parameters) or "none"
            raise ConfigError(f"record(input_of={name!r}): the function has no such argument (it has: {known})")
        return lambda args, kwargs: kwargs.get(name)
    position = list(parameters).index(name)
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        position = 1_000_000  # beyond the positional arguments of any call: it is found by name alone
    elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return lambda args, kwargs: args[position:]

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[position] if position < len(args) else kwargs.get(name, default)

    return named


def _first_text(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The first argument that is a text, else the first that is a list of chat messages with a question."""
    for content in (*args, *kwargs.values()):
        if isinstance(content, str):
            return content
    return next((text for content in (*args, *kwargs.values()) if (text := last_question(content))), None)
