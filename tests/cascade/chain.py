"""A cascade to test with: a triage led to a draft, an e-mail, a record, a payment, and a summary of the record."""

from __future__ import annotations

from monitor.actions.states import Claim, Proposal
from monitor.alerting.alert import encode
from monitor.alerting.from_finding import from_finding
from monitor.detection.records.finding import (
    BeganAt,
    Driver,
    Examples,
    Finding,
    FindingKind,
    RaisedAt,
    Severity,
    State,
)
from monitor.events.schema import Model, OutputEvent, Trace
from monitor.ledger.base import Ledger
from monitor.store.base import TraceStore
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place

DAY = 20_000
NOON = DAY * 86_400.0 + 43_200.0
ALERT = "00aa11bb22cc33dd"
KINDS = ("draft", "email", "record", "money")


def fill(store: TraceStore, ledger: Ledger) -> None:
    """The outputs and actions, and a finding about `support/triage` since the flagged output."""
    events = [
        output("before", "support/triage", 0),
        output("flagged", "support/triage", 10, trace=Trace(trace_id="t1", span_id="0a"), model=Model(version="v8")),
        output("reply", "support/reply", 11, trace=Trace(trace_id="t1", span_id="0b", parent_id="0a")),
        output("summary", "crm/summary", 40, causes=["record-1"]),
        output("second", "support/triage", 50),
        output("elsewhere", "support/reply", 60),
    ]
    made = Incoming()
    made.add_outputs([(one, Place("topic", 0, k, NOON + 10 * k)) for k, one in enumerate(events)], Privacy())
    place = Place("alerts", 0, 0, NOON + 60)
    made.alerts.append({**place.columns(), "stream": "support/triage", "alert": ALERT, "body": body()})
    store.write(made)
    for kind in KINDS:
        entered(ledger, f"{kind}-1", kind, "reply", undo="delete it" if kind == "record" else None)
    entered(ledger, "ticket-1", "draft", "", causes=("email-1",), state="allowed")


def output(identity: str, stream: str, after_s: float, **fields: object) -> OutputEvent:
    given = {"stream": stream, "output": "text", "id": identity, "time": NOON + after_s, **fields}
    return OutputEvent(**given)  # type: ignore[arg-type]


def entered(
    ledger: Ledger,
    key: str,
    kind: str,
    event: str,
    *,
    undo: str | None = None,
    causes: tuple[str, ...] = (),
    state: str = "",
) -> None:
    """An action: money is held, a draft failed, the others are done, unless `state` says `allowed`."""
    proposed = Proposal(
        scope="shop", key=key, kind=kind, fingerprint="f", requester="agent", stream="support/reply", event=event,
        target="ann@example.com", undo=undo, causes=causes, approvals_needed=int(kind == "money"),
    )  # fmt: skip
    ledger.propose(proposed, NOON + 20)
    if kind == "money" or state == "allowed":
        return
    claimed = Claim(scope="shop", key=key, kind=kind, fingerprint="f", claimant="worker", lease_s=60.0)
    fence = ledger.claim(claimed, NOON + 21).fence
    if kind == "draft":
        ledger.failed("shop", key, fence, "no template", NOON + 22)
    else:
        ledger.done("shop", key, fence, b"{}", NOON + 22)


def body(segment: dict[str, str] | None = None) -> str:
    finding = Finding(
        stream="support/triage", state=State.FIRING, id=ALERT, kind=FindingKind.DRIFT, cause="Answers are longer.",
        driver=Driver.OUTPUT, raised_at=RaisedAt("second", 4, NOON + 55), began_at=BeganAt(1, 1, 2, NOON + 5),
        features=[], segment=segment, examples=Examples([], []), title="Answers are longer",
        severity=Severity.WARNING, runbook="runbooks/drift.md",
    )  # fmt: skip
    return encode(from_finding(finding)).decode()
