"""Why a field of an event is refused."""

from __future__ import annotations

from monitor.errors import InvalidEvent


class FieldError(InvalidEvent):
    """A field that the monitor would refuse; its text begins with the field's name."""


class WrongType(FieldError, TypeError):
    """A field of a type that has no clear meaning there, or, for a strict publisher, of any but the declared type."""


class WrongValue(FieldError, ValueError):
    """A field of the right type with an impossible value."""
