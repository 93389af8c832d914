"""Cost of error: a draft, which a person reads before anything happens. It passes, also while the monitor is down.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/draft.py
"""

from __future__ import annotations

import os

from monitor.gate import Gate


def main(gate: Gate, drafts: dict[str, str] | None = None) -> None:
    """Keep a draft. What was decided while the monitor was down is sent to it later."""
    drafts = {} if drafts is None else drafts

    @gate.action("draft", key="draft:{ticket}", stream="support/draft", text="text")
    def keep(ticket: str, text: str) -> str:
        drafts[ticket] = text
        return f"draft for {ticket} kept"

    print(keep("T-1", "Thank you for your patience. We have found the parcel."))


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
