"""Checks of the gate: kinds whose settings hold everything, hold nothing, or may act twice."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.actions.policy import Decide, HoldIf
from monitor.actions.states import OnUnknown
from monitor.settings import Settings
from monitor.settings.problem import Problem


def gate_problems(settings: Settings) -> Iterator[Problem]:
    """What is doubtful about kinds of actions."""
    stored = bool(settings.store.location)
    for name, kind in settings.gate.kinds.items():
        at = ("gate", "kinds", name)
        if kind.on_unknown is OnUnknown.RETRY and not kind.downstream_key:
            what = (
                "retry may act twice, unless twice does no harm: ask, or `downstream_key: true` where it takes the key"
            )
            yield Problem((*at, "on_unknown"), what, error=False)
        if kind.decide is not Decide.CHECKED:
            continue
        if HoldIf.DRIFT in kind.hold_if and not stored:
            what = "drift is never seen: alerts are read from the trace store, and store.location is empty"
            if HoldIf.UNSURE in kind.hold_if:
                what = (
                    "holds everything: the state of streams is read from the trace store, and store.location is empty"
                )
            yield Problem((*at, "hold_if"), what, error=False)
        if kind.least_quality is not None and not stored:
            what = "holds everything: judged quality is read from the trace store, and store.location is empty"
            yield Problem((*at, "least_quality"), what, error=False)
        if HoldIf.CHECK in kind.hold_if and not settings.checks:
            yield Problem(
                (*at, "hold_if"), "check holds nothing: no stream has a check (streams[].criteria)", error=False
            )
