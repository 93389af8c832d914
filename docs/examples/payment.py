"""Cost of error: money. A person approves, however sure the model is; above 1,000 two people do.

The provider takes an idempotency key, which makes exactly one payment of any number of attempts: one of the three ways
to exactly one effect (docs/howto/gate.md). Run it again after `oqm`, or the API, has approved.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/payment.py
"""

from __future__ import annotations

import os

from monitor.gate import FellBack, Gate, Held, NotRun, Rejected


class Provider:
    """A payment provider that pays once for a key and then repeats its answer."""

    def __init__(self) -> None:
        self.paid: dict[str, float] = {}

    def pay(self, to: str, amount: float, *, idempotency_key: str) -> str:
        """The payment's id."""
        self.paid.setdefault(idempotency_key, amount)
        return f"payment {len(self.paid)} of {amount:.2f} to {to}"


def main(gate: Gate, provider: Provider | None = None) -> None:
    """Pay two invoices."""
    provider = Provider() if provider is None else provider

    @gate.action(
        "payment",
        key="pay:{invoice}",
        target="to",
        fields=["to", "amount"],  # an approval is for these, and for no other recipient or amount
        confidence="sure",
    )
    def pay(invoice: str, to: str, amount: float, sure: float, *, idempotency_key: str) -> str:
        return provider.pay(to, amount, idempotency_key=idempotency_key)

    for invoice, to, amount in (("2231", "acme", 120.5), ("2232", "globex", 5_000.0)):
        try:
            print(f"{invoice}: {pay(invoice, to, amount, sure=1.0)}")
        except Held as held:
            print(f"{invoice}: waits for people: {' '.join(reason.says for reason in held.reasons)}")
        except Rejected:
            print(f"{invoice}: rejected")
        except FellBack:  # expired, or the monitor is down: the invoice stays in accounts payable
            print(f"{invoice}: left for accounts payable")
        except NotRun as error:
            print(f"{invoice}: {error}")


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
