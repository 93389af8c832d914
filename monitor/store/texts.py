"""Texts in a form that every database takes. Pure."""

from __future__ import annotations


def storable(text: str | None) -> str | None:
    """The text without NUL, which PostgreSQL refuses, and without halves of surrogate pairs."""
    if text is None:
        return None
    clean = text.replace("\0", "\ufffd")
    return clean if clean.isascii() else clean.encode("utf-8", "replace").decode()
