"""An extraction that lacks a required field is flagged for review, and not skipped.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/extraction.py
"""

from __future__ import annotations

import json
import os

from monitor.gate import Gate, Held

EXTRACTED = {
    "invoice-1.pdf": {"number": "2231", "total": 120.5},
    "invoice-2.pdf": {"number": "2232"},  # the model found no total
    "invoice-3.pdf": {"number": "2233", "total": 80},
}
"""What a model read in each document."""


def main(gate: Gate, stored: dict[str, object] | None = None) -> None:
    """Store what is complete; what is not waits for a person, and the others go on."""
    stored = {} if stored is None else stored

    @gate.action("extraction", key="extraction:{document}", stream="invoices/extraction", text="output")
    def store(document: str, output: str) -> None:
        stored[document] = json.loads(output)

    for document, fields in EXTRACTED.items():
        try:
            store(document, json.dumps(fields))
            print(f"{document}: stored")
        except Held as held:
            # In the review queue with its output. Once a person lets it pass, the same call stores it.
            print(f"{document}: waits for review: {held.reasons[0].says}")


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
