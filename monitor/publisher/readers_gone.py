"""Whether an exception says that whoever waited for an output went away: that is no error of the call."""

from __future__ import annotations

# Exceptions that mean that whoever waited for the output went away, by package and name: none is imported for this.
_READER_LEFT = frozenset(
    (
        ("asyncio", "CancelledError"),
        ("trio", "Cancelled"),
        ("starlette", "ClientDisconnect"),
        ("starlette", "WebSocketDisconnect"),
        ("django", "RequestAborted"),
        ("werkzeug", "ClientDisconnected"),
        ("litestar", "WebSocketDisconnect"),
    )
)


def is_reader_gone(error: BaseException) -> bool:
    """Whether this is the end of a generator, or one of the exceptions above, also by inheritance."""
    return isinstance(error, GeneratorExit) or any(
        (kind.__module__.partition(".")[0], kind.__name__) in _READER_LEFT for kind in type(error).__mro__
    )
