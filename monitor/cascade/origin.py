"""`find_origin`: what an id names, and with which outputs its cascade begins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from monitor.actions.cascade import action_node, node
from monitor.alerting.alert import Alert, decode
from monitor.criteria.derived import feedback_of, judged_of
from monitor.detection.records.finding import State
from monitor.events.identity import segments
from monitor.events.schema import Model, OutputEvent, Prompt
from monitor.ledger.base import Ledger
from monitor.ledger.edges import actions_with_key
from monitor.store.base import TraceStore
from monitor.store.periods import DAY_S

MOST_ROOTS = 10_000
"""Outputs since a change began with which its cascade begins; with more of them it is `at_least`."""


class What(StrEnum):
    """What an id names."""

    OUTPUT = "output"
    FINDING = "finding"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a cascade begins.

    Attributes
    ----------
    what, id
        What was asked for.
    stream
        Of the output, or the outputs of the finding; empty for an action.
    title
        Of the finding; the kind of an action.
    since, until
        The time of the output; of a finding's outputs the time in which it was open, `until` None while it is.
    roots
        Nodes, each with its stream.
    at_least
        Whether there are more outputs than `MOST_ROOTS`, or the store lacks a part of the time.
    """

    what: What
    id: str
    stream: str
    title: str = ""
    since: float | None = None
    until: float | None = None
    roots: Mapping[str, str] = field(default_factory=dict)
    at_least: bool = False

    @property
    def since_day(self) -> int | None:
        """The first day, since 1970, in which something that followed can be.

        A day earlier than the output: what follows may be published first, and clocks differ.
        """
        return None if self.since is None else int(self.since // DAY_S) - 1


def find_origin(traces: TraceStore, ledger: Ledger | None, identity: str) -> Origin | None:
    """What an id names: an output, else a finding (the id of its alert), else an action by its key.

    None where neither the store nor the ledger knows it. `ledger` is None where there is none.
    """
    outputs = traces.find(identity)
    if outputs:
        roots = {node(identity): outputs[0].stream}
        return Origin(What.OUTPUT, identity, outputs[0].stream, since=min(one.time for one in outputs), roots=roots)
    stored = traces.find_alert(identity)
    if stored is not None:
        return of_alert(traces, decode(stored.body.encode()))
    if ledger is not None and (actions := ledger.read(lambda connection: actions_with_key(connection, identity))):
        return Origin(
            What.ACTION,
            identity,
            "",
            title=actions[0].kind,
            since=min(one.proposed_at for one in actions),
            roots={action_node(one.scope, one.key): "" for one in actions},
        )
    return None


def of_alert(traces: TraceStore, alert: Alert) -> Origin:
    """The outputs of an alert's stream since its change began, of its segment where it has one that the store knows."""
    stream = source_of(alert.stream)
    since = alert.began_at.time if alert.began_at.time is not None else alert.raised_at.time
    until = alert.resolution.time if alert.state is State.RESOLVED and alert.resolution is not None else None
    if since is None:
        return Origin(What.FINDING, alert.id, stream, alert.title, at_least=True)
    found = traces.outputs_between(stream, since, math.inf if until is None else until, MOST_ROOTS + 1)
    chosen = found
    if alert.segment:
        chosen = [one for one in found if _is_of(one.fields, alert.segment)] or found
    roots = {node(one.id): stream for one in chosen[:MOST_ROOTS]}
    first = traces.alerts_known().since  # of the first day that the store holds
    lacks = len(found) > MOST_ROOTS or first is None or since < first
    return Origin(What.FINDING, alert.id, stream, alert.title, since, until, roots, at_least=lacks)


def source_of(stream: str) -> str:
    """The stream of the outputs that a stream of verdicts or feedback is about; any other is its own."""
    for found in (judged_of(stream), feedback_of(stream)):
        if found is not None:
            return found[0]
    return stream


class _Segmented(msgspec.Struct):
    model: Model = msgspec.field(default_factory=Model)
    prompt: Prompt = msgspec.field(default_factory=Prompt)
    attributes: dict[str, object] = {}


def _is_of(fields: str, segment: Mapping[str, str]) -> bool:
    """Whether an output belongs to a segment, by what is kept of it."""
    try:
        known = msgspec.json.decode(fields, type=_Segmented)
    except msgspec.DecodeError:
        return False
    event = OutputEvent(stream="", output="", model=known.model, prompt=known.prompt, attributes=known.attributes)
    found = segments(event)
    return all(found.get(name) == value for name, value in segment.items())
