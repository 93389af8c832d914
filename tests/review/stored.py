"""A trace store with one output, for tests of what reviewers are shown."""

from __future__ import annotations

from pathlib import Path

from monitor.events.schema import OutputEvent
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Incoming, Place


def a_stored_output(folder: Path, event: str, stream: str, time: float) -> None:
    """The question after a password, and an answer to it."""
    store = open_store(str(folder))
    incoming = Incoming()
    output = OutputEvent(id=event, stream=stream, time=time, input="My password?", output="Reset it.")
    incoming.add_outputs([(output, Place("outputs", 0, 1, time))], Privacy())
    store.write(incoming)
    store.close()
