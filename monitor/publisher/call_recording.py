"""`CallRecording`: measures a call to something else (tool, retriever, API) made while answering."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from monitor.events import Call, OutputEvent
from monitor.events.bounded_body import MAX_RESPONSE_CHARS, bounded
from monitor.publisher.protocol import Publishing
from monitor.publisher.readers_gone import is_reader_gone
from monitor.publisher.scalars import MAX_ERROR_CHARS, describe
from monitor.publisher.shape import response_shape


class CallRecording:
    """One call to a dependency being measured; made by `Recording.call`.

    `status` is the dependency's own word or HTTP code. An exception that leaves the block is the call's `error`, and
    goes on.
    """

    def __init__(self, publisher: Publishing, event: OutputEvent, dependency: str, operation: str | None) -> None:
        self._publisher = publisher
        self._event = event
        self._started = 0.0
        self._call = Call(dependency=dependency, operation=operation)

    @property
    def status(self) -> str | int | None:
        """The dependency's own word or HTTP code."""
        return self._call.status

    @status.setter
    def status(self, status: str | int | None) -> None:
        self._call.status = status

    def response(self, response: Any, *, keep: bool = False) -> None:
        """Remember the response's structure, so that a change of its format is seen; its values only with `keep`.

        What is kept goes out with the event, at most `MAX_RESPONSE_CHARS` of it: the trace store shows it, masked.
        """
        try:
            self._call.shape = response_shape(response)
        except Exception:  # an object that cannot be looked into must not fail the application's call
            self._call.shape = None
        try:
            self._call.response = bounded(response, MAX_RESPONSE_CHARS) if keep else None
        except Exception:  # nor one that cannot be written
            self._call.response = None

    def fail(self, error: str) -> None:
        """The call failed without raising."""
        self._call.error = str(error)[:MAX_ERROR_CHARS]

    def __enter__(self) -> CallRecording:
        self._started = self._publisher.clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._call.duration_s = max(0.0, self._publisher.clock() - self._started)
            if error is not None and not is_reader_gone(error):
                self._call.error = describe(error)
            self._event.calls.append(self._call)
        except Exception:
            if self._publisher.strict and error is None:
                raise
            self._publisher.report_bug("recording a call to a dependency failed")
