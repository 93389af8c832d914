"""Cost of error: an e-mail to a customer. A draft that fails a check is queued, and not sent; nobody gets one twice.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/outreach_email.py
"""

from __future__ import annotations

import os
import smtplib
from collections.abc import Callable

from monitor.gate import Gate, Held

DRAFTS = [
    (7, 1, "anna@example.com", "Hi Anna, your team is hiring data engineers. Would a call on Tuesday work for you?"),
    (8, 1, "ben@example.com", "Hi Ben, guaranteed savings of 30 percent. When shall we talk?"),
    (7, 1, "anna@example.com", "Hello Anna, I saw that you hire data engineers. Is Tuesday good for a call?"),
    (7, 2, "anna@example.com", "Hi Anna, your team hires data engineers. Would a call on Tuesday work for you?"),
]
"""Lead, step of the campaign, recipient, what the model wrote. The third is the first again: a queue delivers twice."""


def main(gate: Gate, deliver: Callable[[str, str], None] = lambda to, text: None) -> None:
    """Send each draft that passes, once; `deliver` hands it to the mail server."""

    # A mail server takes no key: after an unexpected error nobody knows whether the mail is out. So the kind says
    # `on_unknown: ask`, and only what the server refused for certain is tried again.
    @gate.action(
        "email",
        key="email:{lead}:spring:{step}",
        stream="outreach/email",
        text="text",
        target="to",
        fields=["to"],
        nothing_happened=(smtplib.SMTPRecipientsRefused, ConnectionRefusedError),
    )
    def send(lead: int, step: int, to: str, text: str) -> str:
        deliver(to, text)
        return f"sent to {to}"

    for lead, step, to, text in DRAFTS:
        try:
            print(f"lead {lead}, step {step}: {send(lead, step, to, text)}")
        except Held as held:
            print(f"lead {lead}, step {step}: queued for a person: {held.reasons[0].says}")


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
