"""Requests of the gate's client and what their answers mean. Called by `monitor.gate.client`, from any thread.

Answers that only an outage explains (time-outs, 5xx, 429, another server at the address) raise `Unreachable`; those
that say what is wrong with the request raise `GateRefused`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from monitor.actions.messages import (
    ClaimGranted,
    ClaimRequest,
    DoneRequest,
    ExtendRequest,
    FailRequest,
    GateAnswer,
    ResolveRequest,
)
from monitor.actions.policy import Policy, Reason
from monitor.gate.outcomes import FellBack, GateRefused, Held, InFlight, NotRun, OutcomeUnknown, Rejected, Undone
from monitor.gate.transport import Reply, Transport, Unreachable

S = TypeVar("S")
REFUSED = frozenset({400, 401, 403, 409, 413, 415, 422})
"""Statuses of a monitor that has read the request and will not take it however often it is sent."""
_GONE: dict[str, type[NotRun]] = {"rejected": Rejected, "undone": Undone, "expired": FellBack}
PROBLEM = "urn:oqm:problem:"
"""Beginning of the type of the monitor's problems: a proxy's 403 has none."""


class _Problem(msgspec.Struct):
    type: str = ""
    detail: str = ""
    pointer: str = ""
    retry_after_s: float | None = None


class Granted(NamedTuple):
    """The claim is ours."""

    fence: int


class Replayed(NamedTuple):
    """It was done before: the JSON that was given with it."""

    result: bytes


class Wire:
    """The operations of the API that the client uses."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def ask(self, body: bytes, timeout_s: float) -> GateAnswer:
        """`POST /v1/gate` with an encoded `GateRequest`."""
        reply = self.transport.request("POST", "/v1/gate", body, timeout_s)
        if reply.status == 200:
            return _decoded(reply, GateAnswer)
        raise _error(reply)

    def policies(self, etag: str, timeout_s: float) -> tuple[Policy, str] | None:
        """The policy with its ETag; None where it is still the one with `etag`."""
        headers = {"If-None-Match": etag} if etag else {}
        reply = self.transport.request("GET", "/v1/policies", None, timeout_s, headers)
        if reply.status == 304:
            return None
        if reply.status == 200:
            return _decoded(reply, Policy), reply.headers.get("etag", "")
        raise _error(reply)

    def claim(self, key: str, claim: ClaimRequest, timeout_s: float) -> Granted | Replayed:
        """Raises a `NotRun` where it is neither ours nor done."""
        reply = self._post(key, "claim", claim, timeout_s)
        if reply.status == 201:
            return Granted(_decoded(reply, ClaimGranted).fence)
        if reply.status == 200:
            return Replayed(reply.body)
        raise _not_run(key, reply)

    def done(self, key: str, fence: int, result: bytes, timeout_s: float) -> None:
        """The claim's effect took place."""
        self._accepted(key, "done", DoneRequest(fence=fence, result=msgspec.Raw(result)), timeout_s)

    def fail(self, key: str, fence: int, why: str, timeout_s: float) -> None:
        """Nothing happened."""
        self._accepted(key, "fail", FailRequest(fence=fence, why=why), timeout_s)

    def extend(self, key: str, fence: int, lease_s: float, timeout_s: float) -> None:
        """The claim's effect takes longer."""
        self._accepted(key, "extend", ExtendRequest(fence=fence, lease_s=lease_s), timeout_s)

    def resolve(self, key: str, outcome: str, why: str, result: bytes | None, timeout_s: float) -> None:
        """How an unknown action ended."""
        body = ResolveRequest(outcome=outcome, why=why, result=msgspec.Raw(result or b"null"))
        self._accepted(key, "resolve", body, timeout_s)

    def post(self, path: str, body: bytes, timeout_s: float) -> None:
        """An entry of the journal, whatever it is."""
        reply = self.transport.request("POST", path, body, timeout_s)
        if reply.status >= 300:
            raise _error(reply)

    def _accepted(self, key: str, what: str, body: Any, timeout_s: float) -> None:
        reply = self._post(key, what, body, timeout_s)
        if reply.status >= 300:
            raise _error(reply)

    def _post(self, key: str, what: str, body: Any, timeout_s: float) -> Reply:
        return self.transport.request("POST", action_path(key, what), msgspec.json.encode(body), timeout_s)


def action_path(key: str, what: str) -> str:
    """The path of an operation on an action."""
    return f"/v1/actions/{quote(key, safe='')}/{what}"


def _decoded(reply: Reply, wanted: type[S]) -> S:
    try:
        return msgspec.json.decode(reply.body, type=wanted)
    except msgspec.DecodeError as error:
        raise Unreachable(f"what answers is not this monitor: {error}") from None


def _problem(reply: Reply) -> tuple[str, _Problem]:
    """Its code and what it says; the code is empty for what is no problem of the monitor."""
    try:
        found = msgspec.json.decode(reply.body, type=_Problem)
    except msgspec.DecodeError:
        return "", _Problem()
    return (found.type.removeprefix(PROBLEM) if found.type.startswith(PROBLEM) else ""), found


def _error(reply: Reply) -> GateRefused | Unreachable:
    code, problem = _problem(reply)
    if code and reply.status in REFUSED:
        where = f" ({problem.pointer})" if problem.pointer else ""
        return GateRefused(f"the monitor refuses the request{where}: {problem.detail}", code)
    return Unreachable(f"status {reply.status}{': ' + problem.detail if problem.detail else ''}")


def _not_run(key: str, reply: Reply) -> NotRun | GateRefused | Unreachable:
    """Why a claim was not granted."""
    code, problem = _problem(reply)
    reason = (Reason(code or "refused", problem.detail),)
    if reply.status == 202:
        return Held(key, (Reason("held", "It waits for a person."),))
    if reply.status == 409 and code == "in-flight":
        return InFlight(key, reason)
    if reply.status == 409 and code == "unknown":
        return OutcomeUnknown(key, reason)
    if reply.status == 410 and code in _GONE:
        return _GONE[code](key, reason)
    return _error(reply)
