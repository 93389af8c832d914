"""What to do next, per kind of finding: the first steps of its runbook, fit to be read in the alert itself.

The runbooks in `config/runbooks/` say the rest; a test holds that each kind has both. Pure. May import
`monitor.detection` and below.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from monitor.detection.records.finding import FindingKind

HEADLINES: Mapping[FindingKind, str] = {
    FindingKind.DRIFT: "Output drift",
    FindingKind.SILENT_UPDATE: "Silent model update",
    FindingKind.VERSION_CHANGE: "Version change",
    FindingKind.FORMAT: "Format break",
    FindingKind.REFUSAL: "Refusals",
    FindingKind.LATENCY: "Latency",
    FindingKind.ERRORS: "Errors",
    FindingKind.DEPENDENCY: "Dependency",
    FindingKind.CONTEXT: "Context growth",
    FindingKind.VOLUME: "Volume",
    FindingKind.SILENCE: "Silence",
    FindingKind.INPUT_DRIFT: "Input drift",
    FindingKind.MIX_SHIFT: "Traffic mix",
    FindingKind.CANARY: "Canary",
    FindingKind.REFERENCE: "Reference",
}

_ACCEPT = "If the change was intended, make it the new normal: oqm reference accept {stream}"

_STEPS: Mapping[FindingKind, tuple[str, ...]] = {
    FindingKind.DRIFT: (
        "Read the examples: is what users get now worse, or only different?",
        "Look for a deploy, a prompt change or a configuration change at the time it began.",
        "If it is worse, roll back to the prompt or model in use before that time.",
        _ACCEPT,
    ),
    FindingKind.SILENT_UPDATE: (
        "Read the examples: nothing of ours changed, so the provider's model probably did.",
        "Check the provider's status page and release notes for the time it began.",
        "If users are worse off, pin the model's dated version, or switch to the fallback model.",
        _ACCEPT,
    ),
    FindingKind.VERSION_CHANGE: (
        "Confirm with whoever deployed that this version was meant to go out now.",
        "Read the examples: is the new version at least as good?",
        "If not, roll the version back.",
        _ACCEPT,
    ),
    FindingKind.FORMAT: (
        "Check whether what reads these outputs still parses them; stop consequential actions if not.",
        "Look for a change of prompt, model or output schema at the time it began.",
        "Roll it back, or turn on the provider's structured output until it is mended.",
        _ACCEPT,
    ),
    FindingKind.REFUSAL: (
        "Read the refused examples: are these requests that must be served?",
        "Look for a change of system prompt, safety settings or model at the time it began.",
        "Roll it back, or send the refused requests to the fallback model.",
        _ACCEPT,
    ),
    FindingKind.LATENCY: (
        "Compare call.latency with each dependency's time: is it the model or something it calls?",
        "Check the provider's status page, and whether prompts or outputs became longer.",
        "If users wait too long, fail over, shorten the output limit or shed load.",
        _ACCEPT,
    ),
    FindingKind.ERRORS: (
        "Read the errors of the examples: whose are they, the provider's, a dependency's or ours?",
        "Check quotas, keys and the provider's status page.",
        "Fail over, or turn the use case off, before retries add to the load.",
    ),
    FindingKind.DEPENDENCY: (
        "Call the dependency named below by hand: does it answer, and in the format expected?",
        "Check its status page and its release notes for the time it began.",
        "Turn the step that needs it off, or serve without it, until it is back.",
    ),
    FindingKind.CONTEXT: (
        "Check what fills the context: history, retrieved passages or tool results.",
        "Cut or summarise the history before the limit is reached and outputs are truncated.",
        "Look for a change to retrieval or memory at the time it began.",
    ),
    FindingKind.VOLUME: (
        "Check whether callers changed: a launch, a loop of retries, an outage upstream.",
        "If it is a loop, stop its source: it costs money with every call.",
    ),
    FindingKind.SILENCE: (
        "Check whether the application runs and serves requests at all.",
        "Check whether it can reach Kafka: look for undelivered events of its publisher.",
        "If the use case was turned off on purpose, silence this alert's stream.",
    ),
    FindingKind.INPUT_DRIFT: (
        "Read the examples: who asks, and what do they ask now?",
        "Check for a new client, a campaign, an attack or a broken form upstream.",
        _ACCEPT,
    ),
    FindingKind.MIX_SHIFT: (
        "Look at the segment named below: which share of the traffic grew or shrank?",
        "Nothing is wrong with the outputs themselves; act only if the traffic itself is.",
        _ACCEPT,
    ),
    FindingKind.CANARY: (
        "Stop the roll-out: outputs of the canary differ from the version in use.",
        "Read the examples of both sides before going on.",
        _ACCEPT,
    ),
    FindingKind.REFERENCE: (
        "Look at the events named: they differ from the rest of those that the reference is learned from.",
        "If they were an incident, nothing is to be done: the reference was learned without them.",
        "If they are what is normal, learn it anew from now on: oqm reference pin {stream}",
    ),
}


def next_steps(kind: FindingKind, stream: str) -> list[str]:
    """What a person does first, in order; commands carry the stream's name quoted for a shell."""
    return [step.format(stream=shlex.quote(stream)) if "{stream}" in step else step for step in _STEPS[kind]]


def split_command(step: str) -> tuple[str, str]:
    """A step's words, and the command that it ends with, which is empty where it has none.

    >>> split_command("Make it the new normal: oqm reference accept bot")
    ('Make it the new normal: ', 'oqm reference accept bot')
    """
    words, found, command = step.partition(": oqm ")
    return (f"{words}: ", f"oqm {command}") if found else (step, "")
