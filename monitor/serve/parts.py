"""The table of what a process keeps beside its requests: a new one is a class with start() and close(), and a line.

Each is made with the process's `Services`, in this order, and found as `ctx.part(Class)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.serve.context import Services
from monitor.serve.gatekeeper import Gatekeeper
from monitor.serve.measure import Measurer
from monitor.serve.process_counts import ProcessCounts
from monitor.serve.streams import StreamStates
from monitor.serve.sweeper import Sweeper

PARTS: tuple[Callable[[Services], Any], ...] = (ProcessCounts, Sweeper, StreamStates, Measurer, Gatekeeper)


def add_parts(services: Services) -> None:
    """Make each part of the table."""
    for make in PARTS:
        part = make(services)
        services.parts[type(part)] = part
