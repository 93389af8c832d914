"""Checks in Python as an application may write them; `docs/howto/check_outputs.md` shows how they are named."""

from __future__ import annotations

from monitor.events.schema import OutputEvent


def ends_politely(event: OutputEvent) -> bool | None:
    """Whether the last line of an output is a closing formula; None where there is no output."""
    if not event.output:
        return None
    last = event.output.rstrip().rpartition("\n")[2]
    return last.lower().startswith(("kind regards", "best regards", "sincerely"))
