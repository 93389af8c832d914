"""The table of what a process keeps beside its requests. A new one is a class with start() and close(), and a line here.

Each is made with the process's `Services`, in this order, and found as `ctx.part(Class)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.serve.context import Services
from monitor.serve.process_counts import ProcessCounts
from monitor.serve.sweeper import Sweeper

PARTS: tuple[Callable[[Services], Any], ...] = (ProcessCounts, Sweeper)


def add_parts(services: Services) -> None:
    """Make each part of the table."""
    for make in PARTS:
        part = make(services)
        services.parts[type(part)] = part
