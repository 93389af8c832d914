"""What to do next, per kind of finding: the first steps of its runbook, short enough for the alert itself.

They stand in `monitor.detection.records.finding_kinds`; the runbooks in `config/runbooks/` say the rest. Pure. May
import `monitor.detection` and below.
"""

from __future__ import annotations

import shlex

from monitor.detection.records.finding_kinds import KINDS, FindingKind


def next_steps(kind: FindingKind, stream: str) -> list[str]:
    """What a person does first, in order; commands carry the stream's name quoted for a shell."""
    return [step.format(stream=shlex.quote(stream)) if "{stream}" in step else step for step in KINDS[kind].next_steps]


def split_command(step: str) -> tuple[str, str]:
    """A step's words, and the command that it ends with, which is empty where it has none.

    >>> split_command("Make it the new normal: oqm reference accept bot")
    ('Make it the new normal: ', 'oqm reference accept bot')
    """
    words, found, command = step.partition(": oqm ")
    return (f"{words}: ", f"oqm {command}") if found else (step, "")
