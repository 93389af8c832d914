"""What the ledger must do, written down a second time without a database: for the tests that run both side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

WAIT_S = 100.0


@dataclass
class Row:
    kind: str
    fields: str
    text: str
    policy: str
    requester: str
    needed: int
    retry: bool
    can_undo: bool
    state: str
    expires: float | None
    fence: int = 0
    lease: float = 0.0
    result: bytes | None = None
    voters: set[str] = field(default_factory=set)

    def over(self, now: float) -> bool:
        return self.state == "unknown" or (self.state == "claimed" and self.lease <= now)

    def late(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


class Model:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def propose(self, key: str, row: Row) -> str:
        there = self.rows.get(key)
        if there is None:
            self.rows[key] = row
            return row.state
        if (there.kind, there.fields) != (row.kind, row.fields):
            return "Mismatch"
        same = (there.text, there.policy) == (row.text, row.policy)
        if not same and there.state in ("held", "allowed", "failed"):
            row.fence = there.fence
            self.rows[key] = row
        return self.rows[key].state

    def claim(self, key: str, kind: str, fields: str, text: str, policy: str, lease_s: float, now: float) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if (row.kind, row.fields) != (kind, fields):
            return "mismatch"
        if row.state in ("done", "undone", "rejected", "expired"):
            return {"done": "replay"}.get(row.state, row.state)
        other = (row.text != "" and row.text != text) or (row.needed > 0 and row.policy != policy)
        if row.over(now):
            if not row.retry:
                return "unknown"
            return "mismatch" if other else self._grant(row, lease_s, now)
        if row.state == "claimed":
            return "in_flight"
        if row.late(now):
            return "expired"
        if other:
            return "mismatch"
        if row.state == "failed" and row.needed:
            row.state, row.voters, row.expires = "held", set(), now + WAIT_S
        if row.state == "held":
            return "held"
        return self._grant(row, lease_s, now)

    def _grant(self, row: Row, lease_s: float, now: float) -> str:
        row.state, row.fence, row.lease = "claimed", row.fence + 1, now + lease_s
        return "mine"

    def end(self, key: str, fence: int, outcome: str, result: bytes | None) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if row.state in ("claimed", "unknown") and row.fence == fence:
            self._set(key, row, outcome, result)
        elif not (row.state == outcome and row.fence == fence and (outcome == "failed" or row.result == result)):
            return "StaleFence"
        return row.state

    def _set(self, key: str, row: Row, outcome: str, result: bytes | None) -> None:
        row.state, row.result = outcome, result
        original = self.rows.get(key.removeprefix("undo:")) if key.startswith("undo:") else None
        if original is not None and outcome == "done" and original.state == "done":
            original.state = "undone"

    def extend(self, key: str, fence: int, lease_s: float, now: float) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if row.state != "claimed" or row.fence != fence or row.lease <= now:
            return "StaleFence"
        row.lease = now + lease_s
        return "claimed"

    def resolve(self, key: str, outcome: str, result: bytes, now: float) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if not row.over(now):
            return "NotAllowed"
        self._set(key, row, outcome, result if outcome == "done" else None)
        return row.state

    def approve(self, key: str, by: str, fields: str, text: str, policy: str, now: float) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        seen = (row.fields, row.text, row.policy) == (fields, text, policy)
        if row.state != "held" or row.late(now) or by == row.requester or by in row.voters or not seen:
            return "NotAllowed"
        row.voters.add(by)
        if len(row.voters) >= row.needed:
            row.state, row.expires = "allowed", now + WAIT_S
        return row.state

    def reject(self, key: str, now: float) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if row.state not in ("held", "allowed") or row.late(now):
            return "NotAllowed"
        row.state = "rejected"
        return row.state

    def undo(self, key: str, by: str) -> str:
        row = self.rows.get(key)
        if row is None:
            return "NoSuchAction"
        if (there := self.rows.get(f"undo:{key}")) is not None:
            return there.state
        if row.state != "done" or not row.can_undo:
            return "NotAllowed"
        self.rows[f"undo:{key}"] = Row(row.kind, row.fields, "", row.policy, by, 0, row.retry, False, "allowed", None)
        return "allowed"

    def due(self, now: float) -> set[tuple[str, str]]:
        changed = set()
        for key, row in self.rows.items():
            if row.state in ("held", "allowed") and row.late(now):
                row.state = "expired"
                changed.add((key, "expired"))
            elif row.state == "claimed" and row.lease <= now:
                row.state = "unknown"
                changed.add((key, "unknown"))
        return changed
