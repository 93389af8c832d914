"""Sends what the journal holds once the monitor answers again."""

from __future__ import annotations

import msgspec

from monitor.actions.messages import ClaimRequest
from monitor.gate.journal import Entry, Journal
from monitor.gate.outcomes import GateRefused, NotRun
from monitor.gate.transport import Unreachable
from monitor.gate.wire import Granted, Wire, action_path


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A function was run while the monitor was down, on the client's own answer: the claim that is made up for."""

    claim: ClaimRequest
    result: msgspec.Raw


def send_waiting(journal: Journal, wire: Wire, timeout_s: float) -> int:
    """Send the entries in order, until the monitor does not answer. Returns how many still wait.

    What the monitor refuses for good is set aside in the journal, with its reason. Another process may be sending: then
    nothing is done here.
    """
    with journal.sending() as mine:
        waiting = journal.waiting()
        if not mine:
            return len(waiting)
        for place, entry in enumerate(waiting):
            try:
                _send(entry, wire, timeout_s)
            except Unreachable:
                return len(waiting) - place
            except (GateRefused, NotRun) as error:
                journal.refused(entry, str(error))
            else:
                journal.sent(entry)
    return 0


def _send(entry: Entry, wire: Wire, timeout_s: float) -> None:
    if entry.what == "gate":
        wire.post("/v1/gate", bytes(entry.body), timeout_s)
    elif entry.what == "ran":
        ran = msgspec.json.decode(entry.body, type=Ran)
        granted = wire.claim(entry.key, ran.claim, timeout_s)
        if isinstance(granted, Granted):
            wire.done(entry.key, granted.fence, bytes(ran.result), timeout_s)
    else:
        wire.post(action_path(entry.key, entry.what), bytes(entry.body), timeout_s)
