"""Rows as the readers of all formats give them: the line or number, and the cells or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from monitor.errors import InvalidEvent

Row: TypeAlias = dict[str, Any]

Rows: TypeAlias = Iterator[tuple[int, Row | InvalidEvent]]
