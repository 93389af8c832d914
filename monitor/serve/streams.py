"""What the gate knows of streams: their open alerts and judged quality, read in the background from the trace store.

A request gets what was read last, with the time it was read; what is too old is for the policy to say
(`monitor.actions.policy.STATE_TOO_OLD_S`). Only a stream that nobody has asked for yet is waited for, shortly.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

import msgspec

from monitor.actions.policy import OpenAlert, Quality, StreamState
from monitor.criteria.criterion import EVALUATOR_STREAM
from monitor.detection.records.finding_kinds import FindingKind
from monitor.serve.context import Services
from monitor.store.base import StoreError, TraceStore
from monitor.store.estimating import default_window, estimates
from monitor.store.query import Search

log = logging.getLogger(__name__)

REFRESH_S = 5.0  # what is a few seconds old is as good as new: detection itself takes rows in blocks
SLOW_EVERY_S = 60.0  # judged quality moves slowly, and counting a week of verdicts is no small query
FIRST_WAIT_S = 0.25  # of the first question about a stream: reading it takes milliseconds, or the store is away
MAX_STREAMS = 1_000  # that are kept up to date; the one that was not asked for longest gives way
FIRING = "firing"
NOT_ABOUT_OUTPUTS = frozenset(
    {
        FindingKind.LATENCY,
        FindingKind.VOLUME,
        FindingKind.SILENCE,
        FindingKind.COST,
        FindingKind.INPUT_DRIFT,
        FindingKind.MIX_SHIFT,
        FindingKind.REFERENCE,
        FindingKind.EVALUATOR_CHANGED,
        FindingKind.EVALUATOR_DOWN,
    }
)
"""Kinds of alerts that say nothing of what outputs are like; every other one, also a new one, holds."""


class _Alert(msgspec.Struct):
    fingerprint: str
    state: str
    kind: str
    title: str
    segment: dict[str, str] | None = None


class _Known(msgspec.Struct):
    state: StreamState
    slow_at: float  # when quality, and whether there are outputs at all, were read
    has_outputs: bool


class StreamStates:
    """The states of the streams that are asked for, of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        gate = services.settings.gate
        self._quality = any(kind.least_quality is not None for kind in gate.kinds.values())
        self._known: OrderedDict[str, _Known | None] = OrderedDict()
        self._changed = threading.Condition()
        self._wanted, self._closed, self._failing = False, False, False
        self._thread = threading.Thread(target=self._run, name="oqm-streams", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        if self._services.traces is not None:
            self._thread.start()

    def close(self) -> None:
        """End after the reading that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def state(self, stream: str) -> StreamState:
        """What was read last of a stream."""
        if self._services.traces is None:
            return StreamState(why_unknown="there is no trace store (store.location)")
        with self._changed:
            found = self._known.get(stream)
            if found is None:
                self._known[stream] = None
                if len(self._known) > MAX_STREAMS:
                    self._known.popitem(last=False)
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._known.get(stream) is not None, FIRST_WAIT_S)
                found = self._known.get(stream)
            if stream in self._known:
                self._known.move_to_end(stream)
            return StreamState(why_unknown="the trace store has not answered yet") if found is None else found.state

    def refresh(self) -> None:
        """Read all streams that were asked for. Raises `StoreError`."""
        traces = self._services.traces
        assert traces is not None
        with self._changed:
            asked = list(self._known.items())
        with traces.reading() as store:
            until = store.alerts_known().until
            down = self._evaluators_down(store)
        for stream, before in asked:
            now = self._services.clock()
            with traces.reading() as store:  # for each: requests that read the store take turns
                found = self._read(store, stream, before, None if until is None else min(until, now), down)
            with self._changed:
                if stream in self._known:
                    self._known[stream] = found
                self._changed.notify_all()

    def _read(
        self, store: TraceStore, stream: str, before: _Known | None, known_at: float | None, down: set[str]
    ) -> _Known:
        alerts = []
        for stored in store.alerts(stream):
            alert = msgspec.json.decode(stored.body, type=_Alert)
            if alert.state == FIRING and alert.kind not in NOT_ABOUT_OUTPUTS:
                alerts.append(
                    OpenAlert(id=alert.fingerprint, kind=alert.kind, title=alert.title, segment=alert.segment)
                )
        now = self._services.clock()
        if before is None or now - before.slow_at >= SLOW_EVERY_S or not before.has_outputs:
            has_outputs = bool(store.search(Search(of_stream=stream, limit=1)))
            quality, slow_at = self._judged(store, stream, now) if self._quality else (), now
        else:
            has_outputs, quality, slow_at = True, before.state.quality, before.slow_at
        why = ""
        if not has_outputs:  # a misspelt name has no alerts either
            known_at, why = None, f"no outputs of the stream {stream[:80]} are stored, so nobody watches it"
        elif known_at is None:
            why = "its alerts were not read to their end yet"
        judges = {criterion.evaluator for criterion in self._services.settings.criteria_of(stream)}
        state = StreamState(
            known_at=known_at,
            alerts=tuple(alerts),
            evaluator_down=tuple(sorted(down & judges)),
            quality=quality,
            why_unknown=why,
        )
        return _Known(state, slow_at, has_outputs)

    def _judged(self, store: TraceStore, stream: str, now: float) -> tuple[Quality, ...]:
        criteria = [one.name for one in self._services.settings.criteria_of(stream) if one.judged]
        if not criteria:
            return ()
        window = msgspec.structs.replace(default_window(now), only=stream)
        newest = {}
        for one in reversed(estimates(store, window)):  # of several evaluators the newest comes first
            if one.criterion in criteria and one.low is not None and one.high is not None:
                newest[one.criterion] = Quality(criterion=one.criterion, low=one.low, high=one.high, judged=one.judged)
        return tuple(newest.values())

    def _evaluators_down(self, store: TraceStore) -> set[str]:
        return {
            evaluator.name
            for evaluator in self._services.settings.evaluators
            for stored in store.alerts(EVALUATOR_STREAM + evaluator.name)
            if (alert := msgspec.json.decode(stored.body, type=_Alert)).kind == FindingKind.EVALUATOR_DOWN
            and alert.state == FIRING
        }

    def _run(self) -> None:
        while not self._closed:
            with self._changed:
                self._wanted = False
            try:
                self.refresh()
            except StoreError as error:
                if not self._failing:
                    log.warning("the state of streams cannot be read: %s", error)
                self._failing = True
            else:
                self._failing = False
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._wanted, REFRESH_S)
