"""Exactly one effect, third way: the receiving system is asked whether it happened, before anything is tried again.

For systems that take no key and can be searched. The kind says `on_unknown: ask`, and `reconcile` is who is asked
first; a person is, where that cannot tell.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/reconcile.py
"""

from __future__ import annotations

import os

from monitor.gate import Gate


class Tickets:
    """A ticket system that takes no key, but finds tickets by a reference."""

    def __init__(self, lose: int) -> None:
        self.tickets: list[str] = []
        self._lose = lose

    def create(self, reference: str) -> str:
        """A new ticket's name. The answer of the first ones is lost."""
        self.tickets.append(reference)
        if len(self.tickets) <= self._lose:
            raise TimeoutError("the answer was lost")
        return f"ticket {len(self.tickets)}"

    def find(self, reference: str) -> str | None:
        """The ticket with a reference, None where there is none."""
        found = [place for place, one in enumerate(self.tickets, start=1) if one == reference]
        return f"ticket {found[0]}" if found else None


def main(gate: Gate, tickets: Tickets | None = None) -> None:
    """Create a ticket, lose the answer, and call again."""
    tickets = Tickets(lose=1) if tickets is None else tickets

    @gate.action("ticket", key="ticket:{customer}:{incident}", reconcile=tickets.find)
    def create(customer: str, incident: str, *, idempotency_key: str) -> str:
        return tickets.create(idempotency_key)

    for _ in range(2):
        try:
            print(create("acme", "outage-17"))
        except TimeoutError as error:
            print(f"unknown: {error}")
    print("tickets:", len(tickets.tickets))


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
