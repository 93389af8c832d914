"""Cost of error: a record in a live CRM. Written once, audited, and reversible: it passes only with an undo.

The CRM takes an idempotency key, so a retry after a lost answer writes nothing twice: `downstream_key: true`.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/crm_record.py
"""

from __future__ import annotations

import os

from monitor.gate import Gate


class Crm:
    """A CRM that, as most do, does nothing for a request whose key it has seen."""

    def __init__(self) -> None:
        self.stages = {"lead-7": "new"}
        self.writes = 0
        self._seen: set[str] = set()

    def set_stage(self, lead: str, stage: str, *, key: str) -> None:
        """Write the stage of a lead, once for a key."""
        if key not in self._seen:
            self._seen.add(key)
            self.writes += 1
            self.stages[lead] = stage


def main(gate: Gate, crm: Crm | None = None) -> None:
    """Set a lead's stage, twice in the same words: it is written once."""
    crm = Crm() if crm is None else crm

    @gate.action(
        "crm_record",
        key="crm:{lead}:{occasion}",
        target="lead",
        fields=["lead", "stage"],
        undo=lambda lead, stage, occasion: f"set the stage of {lead} back to {crm.stages[lead]}",
    )
    def set_stage(lead: str, stage: str, occasion: str, *, idempotency_key: str) -> dict[str, str]:
        crm.set_stage(lead, stage, key=idempotency_key)
        return {"lead": lead, "stage": stage}

    for _ in range(2):
        print(set_stage("lead-7", "qualified", "call-of-2026-03-02"), "writes:", crm.writes)


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
