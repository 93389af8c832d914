"""Watches what AI systems say, and reports to the people on call what drifted, since when and why.

What an application or a notebook needs, and no more. Each name is loaded when it is first used, so that an application
that only publishes does not import numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.detection import StreamMonitor
    from monitor.events import OutputEvent
    from monitor.gate import AsyncGate, Gate
    from monitor.notebook import Watch, compare, replay
    from monitor.publisher import OutputPublisher

__all__ = ["AsyncGate", "Gate", "OutputEvent", "OutputPublisher", "StreamMonitor", "Watch", "compare", "replay"]

_HOMES = {
    "AsyncGate": "monitor.gate",
    "Gate": "monitor.gate",
    "OutputEvent": "monitor.events",
    "OutputPublisher": "monitor.publisher",
    "StreamMonitor": "monitor.detection",
    "Watch": "monitor.notebook",
    "compare": "monitor.notebook",
    "replay": "monitor.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
