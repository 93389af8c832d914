"""What can go wrong with the assistant: mostly without an error, as AI systems break, or as any service does."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """A fault to switch on behind the application's back."""

    SILENT_UPDATE = "silent-update"
    FORMAT_BREAK = "format-break"
    LATENCY_CREEP = "latency-creep"
    FAILING_DEPENDENCY = "failing-dependency"
    CONTEXT_GROWTH = "context-growth"
    SLOW_DEPENDENCY = "slow-dependency"
    DEPENDENCY_FORMAT = "dependency-format"
    ERROR_SPIKE = "error-spike"
    TRUNCATED_OUTPUTS = "truncated-outputs"
    HANGING_CALLS = "hanging-calls"
    SLO_BURN = "slo-burn"
    VOLUME_DROP = "volume-drop"
    VOLUME_SURGE = "volume-surge"
    AGENT_LOOP = "agent-loop"
    NONE = "none"

    @property
    def story(self) -> str:
        """What happened, for people who watch the demo; the monitor does not get it."""
        return _STORIES[self]

    @property
    def traffic(self) -> float:
        """Events while it lasts, as a multiple of the usual ones."""
        return _TRAFFIC.get(self, 1.0)

    @property
    def is_slow(self) -> bool:
        """Whether it takes many minutes of the events' time to show, as what a rate is measured by goes on for long."""
        return self in _TRAFFIC or self is Fault.SLO_BURN


_STORIES = {
    Fault.SILENT_UPDATE: "The provider swaps the model behind the same name: answers get longer, warmer, more hedged.",
    Fault.FORMAT_BREAK: "The triage prompt's JSON comes wrapped in prose and code fences; calls still succeed.",
    Fault.LATENCY_CREEP: "Answers take longer and longer, up to three times as long after a minute.",
    Fault.FAILING_DEPENDENCY: "The orders API fails for a third of the calls; the assistant apologises instead.",
    Fault.CONTEXT_GROWTH: "A retriever bug repeats documents: the prompt grows towards the context limit.",
    Fault.SLOW_DEPENDENCY: "The orders API gets slow: over a second a call, where it took a tenth; none fails.",
    Fault.DEPENDENCY_FORMAT: "The orders API answers in another shape since its last release; every call succeeds.",
    Fault.ERROR_SPIKE: "The provider's rate limit is reached: one call in eight ends in an error and says nothing.",
    Fault.TRUNCATED_OUTPUTS: "Someone lowers the output limit: a third of the answers end in mid-sentence.",
    Fault.HANGING_CALLS: "One call in ten hangs for ten times as long; the typical call is as fast as ever.",
    Fault.SLO_BURN: "Eight calls in a thousand hang: too few to be a change, and far more than the objective allows.",
    Fault.VOLUME_DROP: "A filter upstream drops most requests; the few that pass are answered as ever.",
    Fault.VOLUME_SURGE: "A client retries in a loop: four times as many requests, each answered and paid for.",
    Fault.AGENT_LOOP: "Triage and assistant hand a question to each other, round after round; each output looks right.",
    Fault.NONE: "Nothing happens: the monitor has to stay quiet.",
}

_TRAFFIC = {Fault.VOLUME_DROP: 0.15, Fault.VOLUME_SURGE: 4.0}
