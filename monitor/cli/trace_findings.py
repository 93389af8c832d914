"""The findings beside an output in `oqm trace`: alerts that were open at its time, or that quote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from monitor.alerting.rendering.moments import moment

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.alerting.alert import Alert
    from monitor.store.alerts import AlertsKnown
    from monitor.store.base import TraceStore
    from monitor.store.query import StoredOutput


class FindingOfOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it stands beside one output.

    Times are seconds since 1970; `ended_at` is None for one that is still open. `open_then` says whether it was open at
    the output's time. `quoted` says as what it names the output: an example from `before` or `after` the change, the
    event at which it was `raised`; None where it does not.
    """

    id: str
    stream: str
    kind: str
    state: str
    severity: str
    title: str
    began_at: float | None
    ended_at: float | None
    open_then: bool
    quoted: str | None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of alerts beside an output.

    `unknown` says why there may be others, None where the store has all; `since` and `until` are the time in which it
    knows the stream's alerts, in seconds since 1970.
    """

    alerts: list[FindingOfOutput]
    unknown: str | None
    since: float | None
    until: float | None

    @property
    def changed_since(self) -> FindingOfOutput | None:
        """Of the alerts that were open at the output's time the one whose change began first."""
        began = [one for one in self.alerts if one.open_then and one.began_at is not None]
        return min(began, key=lambda one: one.began_at or 0.0, default=None)


def findings_of(one: StoredOutput, traces: TraceStore) -> Findings:
    """The findings beside an output, those that quote it first, then the latest."""
    from monitor.alerting.alert import decode
    from monitor.store.alerts import MAX_ALERTS

    known, stored = traces.alerts_known(), traces.alerts(one.stream)
    found: list[FindingOfOutput] = []
    unreadable = 0
    for row in stored:
        try:
            beside = _beside(decode(row.body.encode()), one, row.day)
        except msgspec.DecodeError:
            unreadable += 1
            continue
        if beside.open_then or beside.quoted:
            found.append(beside)
    found.sort(key=lambda each: (each.quoted is None, -(each.began_at or 0.0)))
    why = _unknown(known, one.time)
    if unreadable:
        why = f"alerts of the stream that are of another version and cannot be read: {unreadable}"
    elif len(stored) > MAX_ALERTS:
        why = f"the stream has more than {MAX_ALERTS} alerts, of which only the newest were looked at"
    return Findings(alerts=found, unknown=why, since=known.since, until=known.until)


def _beside(alert: Alert, one: StoredOutput, day: int) -> FindingOfOutput:
    from monitor.detection.records.finding import State
    from monitor.store.periods import DAY_S

    began = alert.raised_at.time if alert.began_at.time is None else alert.began_at.time
    ended = None
    if alert.state is State.RESOLVED:
        last_event = None if alert.resolution is None else alert.resolution.time
        ended = (day + 1) * DAY_S if last_event is None else last_event  # else: it was resolved on that day
    elif alert.state is State.INFO:
        ended = alert.raised_at.time  # a note, which nothing ends
    # An alert whose begin is not known is rather shown than hidden.
    is_open = (began is None or began <= one.time) and (ended is None or one.time <= ended)
    return FindingOfOutput(
        id=alert.fingerprint,
        stream=alert.stream,
        kind=alert.kind.value,
        state=alert.state.value,
        severity=alert.severity.value,
        title=alert.title,
        began_at=began,
        ended_at=ended,
        open_then=is_open,
        quoted=_quoted(alert, one.id),
    )


def _quoted(alert: Alert, event: str) -> str | None:
    after = [*alert.examples.after, *(excerpt.event_id for excerpt in alert.excerpts_after)]
    before = [*alert.examples.before, *(excerpt.event_id for excerpt in alert.excerpts_before)]
    if event in after:
        return "after"
    if event in before:
        return "before"
    return "raised" if event == alert.raised_at.event_id else None


def _unknown(known: AlertsKnown, time: float) -> str | None:
    """Why the store may lack alerts of an output's time; None where it has them."""
    if not known.read_until:
        return "no worker has read the topic of alerts into this store yet (oqm worker --role store)"
    if known.until is None:
        return "the topic of alerts is not read to its end yet"
    if known.until < time:
        return f"alerts are read up to {moment(known.until)}, and the output is later"
    return None


def print_findings(console: Console, one: StoredOutput, findings: Findings) -> None:
    """The section `findings`; it is never empty: none is told apart from what cannot be told."""
    from monitor.alerting.rendering.terminal_text import plain

    console.print("\n[bold]findings[/]")
    for finding in findings.alerts:
        style = {"critical": "red", "warning": "yellow"}.get(finding.severity)
        line = f"  {finding.severity}, {_state(finding)}: {plain(finding.title)}"
        console.print(line, style=style, markup=False, soft_wrap=True)
        about = "" if finding.stream == one.stream else f" in {plain(finding.stream)}"
        console.print(f"    alert {plain(finding.id)}{about}{_relation(finding)}", markup=False, soft_wrap=True)
    if findings.unknown:
        others = "whether there are others" if findings.alerts else "whether an alert was open"
        line = f"  cannot tell {others}: {findings.unknown}"
        console.print(line, style="yellow", markup=False, soft_wrap=True)
    elif not findings.alerts:
        console.print(f"  none: no alert of the stream was open at {moment(one.time)}", soft_wrap=True)
        console.print(
            f"  (alerts are read up to {moment(findings.until)}; those last reported before {moment(findings.since)} "
            "are not in the store)",
            soft_wrap=True,
        )


def _state(finding: FindingOfOutput) -> str:
    if finding.state == "info":
        return f"noted {moment(finding.ended_at)}"
    if finding.ended_at is None:
        return f"firing since {moment(finding.began_at)}"
    return f"resolved, from {moment(finding.began_at)} to {moment(finding.ended_at)}"


def _relation(finding: FindingOfOutput) -> str:
    quoted = {
        "after": ", quotes this output as changed",
        "before": ", quotes this output as one from before the change",
        "raised": ", was raised at this output",
    }.get(finding.quoted or "", "")
    return quoted if finding.open_then or not quoted else f"{quoted}; it was not open at the output's time"
