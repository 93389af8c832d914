"""What can go wrong with the assistant. No call fails outright: that is how AI systems break."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """A fault to switch on behind the application's back."""

    SILENT_UPDATE = "silent-update"
    FORMAT_BREAK = "format-break"
    LATENCY_CREEP = "latency-creep"
    FAILING_DEPENDENCY = "failing-dependency"
    CONTEXT_GROWTH = "context-growth"
    NONE = "none"

    @property
    def story(self) -> str:
        """What happened, for the audience; the monitor is not told."""
        return _STORIES[self]


_STORIES = {
    Fault.SILENT_UPDATE: "The provider swaps the model behind the same name: answers get longer, warmer, more hedged.",
    Fault.FORMAT_BREAK: "The triage prompt's JSON comes wrapped in prose and code fences; calls still succeed.",
    Fault.LATENCY_CREEP: "Answers take longer and longer, up to three times as long after a minute.",
    Fault.FAILING_DEPENDENCY: "The orders API fails for a third of the calls; the assistant apologises instead.",
    Fault.CONTEXT_GROWTH: "A retriever bug repeats documents: the prompt grows towards the context limit.",
    Fault.NONE: "Nothing happens: the monitor has to stay quiet.",
}
