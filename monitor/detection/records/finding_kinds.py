"""`KINDS`: what each kind of finding is, in one table.

A new kind is a member of `FindingKind`, an entry here, and its runbook in `config/runbooks`. Everything else reads this
table: which changes make a finding of the kind and which features it names first (`monitor.detection.diagnosis`), how
severe it is, which alerts form one incident (`monitor.alerting`), what people do first, the page
docs/reference/findings.md, and the tests of runbooks and of Alertmanager's rules. An entry that is missing or
incomplete raises `ValueError` when this module is imported.

Pure. May import `monitor.features.base` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from monitor.features.base import Role


class FindingKind(StrEnum):
    """What sort of thing was found; a published enumeration. Each has a runbook of its name in `config/runbooks`."""

    DRIFT = "drift"
    SILENT_UPDATE = "silent_update"
    FORMAT = "format"
    REFUSAL = "refusal"
    LATENCY = "latency"
    ERRORS = "errors"
    DEPENDENCY = "dependency"
    CONTEXT = "context"
    VOLUME = "volume"
    SILENCE = "silence"
    TRUNCATION = "truncation"
    LANGUAGE = "language"
    PRIVACY = "privacy"
    CHECK = "check"
    QUALITY = "quality"
    FACTS = "facts"
    TOOL = "tool"
    COST = "cost"
    FEEDBACK = "feedback"
    INPUT_DRIFT = "input_drift"
    MIX_SHIFT = "mix_shift"
    CANARY = "canary"
    REFERENCE = "reference"
    THRESHOLD = "threshold"
    EVALUATOR_CHANGED = "evaluator_changed"
    EVALUATOR_DOWN = "evaluator_down"
    CASCADE = "cascade"

    @classmethod
    def _missing_(cls, value: object) -> FindingKind | None:
        """Records of earlier versions may name a kind that was published and never found: it was a drift."""
        return cls.DRIFT if value == "version_change" else None


class Trigger(StrEnum):
    """Which change makes a finding one of a kind, given the roles of the kind."""

    CALL = "call"  # the call around the model moved, and a feature of the roles with it
    LEADS = "leads"  # outputs changed, and what leads the finding, as most of a cause, has one of the roles
    OTHERWISE = "otherwise"  # outputs changed, and no other kind fits
    ELSEWHERE = "elsewhere"  # another part of detection says so: inputs, segments, volume, versions, the warm-up


class SeverityRule(StrEnum):
    """What the severity of a firing finding follows from."""

    CHANGES = "changes"  # critical where a failure rose, or something moved far in the direction that hurts
    WARNING = "warning"
    INFO = "info"  # never fires


@dataclass(frozen=True)
class NarrowerRunbook:
    """A runbook that says more than the kind's own, where `at_least` of the first changes have one of these roles."""

    name: str
    roles: frozenset[Role]
    at_least: int


@dataclass(frozen=True, kw_only=True)
class KindInfo:
    """What a kind is.

    Attributes
    ----------
    headline
        A few words at the start of an alert's title.
    meaning
        One sentence for the reference page.
    next_steps
        What a person does first, in order; `{stream}` becomes the stream's name, quoted for a shell.
    trigger, roles
        Which change makes a finding one of this kind.
    upstream
        Whether what breaks here breaks outputs, too: such a change decides before others do.
    leads
        Roles whose features a finding of this kind names first, in the order of their `lead`.
    severity
        What its severity follows from.
    groups_as
        Kinds with the same word here are one cause, so that their alerts can form one incident; empty: a cause by
        itself.
    explains
        Kinds that are consequences of this one in the same stream; Alertmanager inhibits them while this one fires.
    explains_unless_critical
        Whether it leaves critical alerts of those kinds alone.
    narrower
        Runbooks that say more than the one that is named after the kind.
    instead_with_new
        Version attributes of which a new value explains such a change by itself, each with the kind that it then is.
    """

    headline: str
    meaning: str
    next_steps: tuple[str, ...]
    trigger: Trigger
    roles: tuple[Role, ...] = ()
    upstream: bool = False
    leads: tuple[Role, ...] = ()
    severity: SeverityRule = SeverityRule.CHANGES
    groups_as: str = ""
    explains: tuple[FindingKind, ...] = ()
    explains_unless_critical: bool = False
    narrower: tuple[NarrowerRunbook, ...] = ()
    instead_with_new: Mapping[str, FindingKind] = field(default_factory=dict)


_ACCEPT = "If the change was intended, make it the new normal: oqm reference accept {stream}"
_OUTPUT = "output"
"""One update of a model is a drift in one stream, a broken format in another: kinds of one cause."""
_BROKEN_LAYOUT = NarrowerRunbook(
    "format",
    frozenset({Role.FORMAT, Role.LAYOUT, Role.TRUNCATION, Role.CONTENT_FAULT}),
    at_least=2,  # one changed heading or bullet comes with any change of style
)
_NOISY_INPUT = NarrowerRunbook("prompt_brittleness", frozenset({Role.NOISE}), at_least=1)

_TABLE: dict[FindingKind, KindInfo] = {
    FindingKind.DEPENDENCY: KindInfo(
        headline="Dependency",
        meaning="Something that the application calls fails, got slow or answers in another shape.",
        next_steps=(
            "Call the dependency named below by hand: does it answer, and in the format expected?",
            "Check its status page and its release notes for the time it began.",
            "Turn the step that needs it off, or serve without it, until it is back.",
        ),
        trigger=Trigger.CALL,
        roles=(Role.DEPENDENCY,),
        upstream=True,
        leads=(Role.DEPENDENCY,),
        explains=(
            FindingKind.LATENCY,
            FindingKind.DRIFT,
            FindingKind.FORMAT,
            FindingKind.REFUSAL,
            FindingKind.CONTEXT,
            FindingKind.TRUNCATION,
            FindingKind.LANGUAGE,
            FindingKind.CHECK,
            FindingKind.FACTS,
            FindingKind.TOOL,
            FindingKind.COST,
        ),
    ),
    FindingKind.ERRORS: KindInfo(
        headline="Errors",
        meaning="More calls end in an error, or end for another reason than before.",
        next_steps=(
            "Read the errors of the examples: whose are they, the provider's, a dependency's or ours?",
            "Check quotas, keys and the provider's status page.",
            "Fail over, or turn the use case off, before retries add to the load.",
        ),
        trigger=Trigger.CALL,
        roles=(Role.ERROR, Role.FINISH),
        upstream=True,
        leads=(Role.ERROR, Role.FINISH),
        explains=(
            FindingKind.LATENCY,
            FindingKind.DRIFT,
            FindingKind.FORMAT,
            FindingKind.REFUSAL,
            FindingKind.CONTEXT,
            FindingKind.TRUNCATION,
            FindingKind.LANGUAGE,
            FindingKind.CHECK,
            FindingKind.FACTS,
            FindingKind.TOOL,
            FindingKind.COST,
        ),
    ),
    FindingKind.CONTEXT: KindInfo(
        headline="Context growth",
        meaning="More is sent to the model with each call, towards the limit of its context.",
        next_steps=(
            "Check what fills the context: history, retrieved passages or tool results.",
            "Cut or summarise the history before the limit is reached and outputs are truncated.",
            "Look for a change to retrieval or memory at the time it began.",
        ),
        trigger=Trigger.CALL,
        roles=(Role.CONTEXT, Role.SESSION),
        leads=(Role.CONTEXT,),
    ),
    FindingKind.LATENCY: KindInfo(
        headline="Latency",
        meaning="Calls take another time than before, all of them or the slowest.",
        next_steps=(
            "Compare call.latency with each dependency's time: is it the model or something it calls?",
            "Check the provider's status page, and whether prompts or outputs became longer.",
            "If users wait too long, fail over, shorten the output limit or shed load.",
            _ACCEPT,
        ),
        trigger=Trigger.CALL,
        roles=(Role.LATENCY,),
        leads=(Role.LATENCY,),
    ),
    FindingKind.REFUSAL: KindInfo(
        headline="Refusals",
        meaning="The model declines another share of the requests than before.",
        next_steps=(
            "Read the refused examples: are these requests that must be served?",
            "Look for a change of system prompt, safety settings or model at the time it began.",
            "Roll it back, or send the refused requests to the fallback model.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.REFUSAL,),
        leads=(Role.REFUSAL,),
        groups_as=_OUTPUT,
    ),
    FindingKind.FORMAT: KindInfo(
        headline="Format break",
        meaning="Outputs have another format, so that a program that reads them may fail.",
        next_steps=(
            "Check whether what reads these outputs still parses them; stop consequential actions if not.",
            "Look for a change of prompt, model or output schema at the time it began.",
            "Roll it back, or turn on the provider's structured output until it is mended.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.FORMAT,),
        leads=(Role.FORMAT,),
        groups_as=_OUTPUT,
    ),
    FindingKind.TRUNCATION: KindInfo(
        headline="Truncated outputs",
        meaning="Another share of the outputs stops before its end: in mid-sentence, or at a limit of length.",
        next_steps=(
            "Read the ends of the examples: do they stop in mid-sentence, and is the finish reason a limit?",
            "Compare the limit of output tokens in the request with what it was: a lowered limit cuts answers off.",
            "Raise the limit, or ask for shorter answers; retry those that programs cannot read.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.TRUNCATION,),
        groups_as=_OUTPUT,
    ),
    FindingKind.LANGUAGE: KindInfo(
        headline="Language",
        meaning="Outputs are in another language or script than before.",
        next_steps=(
            "Read the examples: is it the language of their inputs?",
            "Look for a change of prompt, locale setting, routing or model at the time it began.",
            "Name the language in the prompt, or roll the change back.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.LANGUAGE,),
        groups_as=_OUTPUT,
    ),
    FindingKind.PRIVACY: KindInfo(
        headline="Personal data or secrets",
        meaning="Another share of the outputs gives away personal data, or a password or key.",
        next_steps=(
            "Read the examples: whose data is it, and who received the outputs?",
            "Stop the use case, or put a filter behind it, until it is known where the data comes from.",
            "Tell the data protection officer; change each password or key that was given away.",
            "Look for a change of retrieval, prompt or tools at the time it began.",
        ),
        trigger=Trigger.LEADS,
        roles=(Role.PRIVACY,),
        groups_as=_OUTPUT,
    ),
    FindingKind.CHECK: KindInfo(
        headline="Failed check",
        meaning="Another share of the outputs violates a criterion that you wrote.",
        next_steps=(
            "Read the examples that fail: is the output wrong, or the criterion?",
            "Look for a change of prompt, model or data at the time it began.",
            "Roll it back, or correct the criterion in the settings.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.CHECK,),
        groups_as=_OUTPUT,
    ),
    FindingKind.QUALITY: KindInfo(
        headline="Judged quality",
        meaning="Another share of the sampled outputs passes a criterion in the evaluation model's judgment.",
        next_steps=(
            "Read the failing examples and the evaluator's reasons: do you agree with them?",
            "Look for an alert that the evaluator changed in the same days: then judge some outputs yourself first.",
            "Look for a change of prompt, model, retrieval or data at the time it began; roll it back if it is worse.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.QUALITY,),
        groups_as=_OUTPUT,
        instead_with_new={"evaluator": FindingKind.EVALUATOR_CHANGED},
    ),
    FindingKind.FACTS: KindInfo(
        headline="Stated values",
        meaning="Outputs state other amounts, durations, dates or currencies than before.",
        next_steps=(
            "Compare the values in the examples with their source: the price list, the policy, the contract.",
            "If they are wrong, turn the use case off or answer without values until it is mended.",
            "Look for a change of the source, of retrieval, prompt or model at the time it began.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.FACTS,),
        groups_as=_OUTPUT,
    ),
    FindingKind.TOOL: KindInfo(
        headline="Tool calls",
        meaning="Other tools are called than before, or the same ones with other arguments.",
        next_steps=(
            "Read the examples: is it the right tool for the request, with valid arguments?",
            "If a tool has effects (orders, payments, mails), stop it until this is known.",
            "Look for a change of tool descriptions, prompt or model at the time it began.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.TOOLS,),
        groups_as=_OUTPUT,
    ),
    FindingKind.COST: KindInfo(
        headline="Cost",
        meaning="A call costs more or less than before, in money or in tokens that no user sees.",
        next_steps=(
            "Compare tokens and price per call with the provider's price list: did the price or the use change?",
            "Look for a change of model, of reasoning effort, of cached prompts or of routing at the time it began.",
            "If it costs too much, switch back, or limit the tokens of reasoning.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.COST,),
    ),
    FindingKind.FEEDBACK: KindInfo(
        headline="Feedback",
        meaning="Users, a judge or the application itself rate the outputs differently than before.",
        next_steps=(
            "Read the examples: do you see why they are rated differently?",
            "Check whether what rates them changed: the form, the judge's prompt or model.",
            "Look for a change of prompt, model or data at the time it began, and roll it back if it is worse.",
            _ACCEPT,
        ),
        trigger=Trigger.LEADS,
        roles=(Role.FEEDBACK,),
        groups_as=_OUTPUT,
    ),
    FindingKind.SILENT_UPDATE: KindInfo(
        headline="Silent model update",
        meaning="Outputs changed, and no version that the events carry changed with them.",
        next_steps=(
            "Read the examples: nothing of ours changed, so the provider's model probably did.",
            "Check the provider's status page and release notes for the time it began.",
            "If users are worse off, pin the model's dated version, or switch to the fallback model.",
            _ACCEPT,
        ),
        trigger=Trigger.OTHERWISE,
        # More tool calls, where these two are the kind: outputs that hold no text are what follows from them.
        leads=(Role.FINISH,),
        groups_as=_OUTPUT,
        explains=(
            FindingKind.DRIFT,
            FindingKind.FORMAT,
            FindingKind.REFUSAL,
            FindingKind.LATENCY,
            FindingKind.TRUNCATION,
            FindingKind.LANGUAGE,
            FindingKind.FACTS,
            FindingKind.TOOL,
            FindingKind.COST,
        ),
        narrower=(_BROKEN_LAYOUT,),
    ),
    FindingKind.DRIFT: KindInfo(
        headline="Output drift",
        meaning="Outputs changed: with a new version, or where events carry no version.",
        next_steps=(
            "Read the examples: is what users get now worse, or only different?",
            "Look for a deploy, a prompt change or a configuration change at the time it began.",
            "If it is worse, roll back to the prompt or model in use before that time.",
            _ACCEPT,
        ),
        trigger=Trigger.OTHERWISE,
        leads=(Role.FINISH,),
        groups_as=_OUTPUT,
        narrower=(_BROKEN_LAYOUT,),
    ),
    FindingKind.INPUT_DRIFT: KindInfo(
        headline="Input drift",
        meaning="Inputs changed, and outputs no further than such inputs make them.",
        next_steps=(
            "Read the examples: who asks, and what do they ask now?",
            "Check for a new client, a campaign, an attack or a broken form upstream.",
            _ACCEPT,
        ),
        trigger=Trigger.ELSEWHERE,
        explains=(FindingKind.DRIFT,),
        explains_unless_critical=True,
        narrower=(_NOISY_INPUT,),
    ),
    FindingKind.MIX_SHIFT: KindInfo(
        headline="Traffic mix",
        meaning="The shares of the traffic's segments moved; within each of them outputs are as before.",
        next_steps=(
            "Look at the segment named below: which share of the traffic grew or shrank?",
            "Nothing is wrong with the outputs themselves; act only if the traffic itself is.",
            _ACCEPT,
        ),
        trigger=Trigger.ELSEWHERE,
        explains=(FindingKind.DRIFT,),
        explains_unless_critical=True,
    ),
    FindingKind.VOLUME: KindInfo(
        headline="Volume",
        meaning="Many more or many fewer events come than are usual at this hour.",
        next_steps=(
            "Check whether callers changed: a launch, a loop of retries, an outage upstream.",
            "If it is a loop, stop its source: it costs money with every call.",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
    FindingKind.SILENCE: KindInfo(
        headline="Silence",
        meaning="No event came for longer than is usual at this hour, or than a setting allows.",
        next_steps=(
            "Check whether the application runs and serves requests at all.",
            "Check whether it can reach Kafka: look for undelivered events of its publisher.",
            "If the use case was turned off on purpose, silence this alert's stream.",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
    FindingKind.CANARY: KindInfo(
        headline="Canary",
        meaning="Two versions run at the same time, and the outputs of the new one differ from those of the old one.",
        next_steps=(
            "Stop the roll-out: outputs of the canary differ from the version in use.",
            "Read the examples of both sides before going on.",
            _ACCEPT,
        ),
        trigger=Trigger.ELSEWHERE,
    ),
    FindingKind.REFERENCE: KindInfo(
        headline="Reference",
        meaning="Some events of the warm-up differ from the rest, and were left out of the reference.",
        next_steps=(
            "Look at the events named: they differ from the rest of those that the reference is learned from.",
            "If they were an incident, nothing is to be done: the reference was learned without them.",
            "If they are what is normal, learn it again from now on: oqm reference pin {stream}",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.INFO,
    ),
    FindingKind.THRESHOLD: KindInfo(
        headline="Threshold",
        meaning="A value is outside of a fixed limit that you set, whatever is usual for the stream.",
        next_steps=(
            "Read the examples beyond the limit: what do users get, and is it harmful?",
            "See whether the stream has other alerts: a drift that began then says what changed.",
            "Act on the cause; the alert ends by itself when the value is inside the limit again.",
            "If the limit is wrong, correct it under thresholds or criteria in the settings.",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
    FindingKind.EVALUATOR_CHANGED: KindInfo(
        headline="Evaluator changed",
        meaning="The evaluation model judges outputs that people have labelled differently than when it was pinned.",
        next_steps=(
            "Read the anchors named below: is the evaluator's new verdict wrong, or the label?",
            "Check whether the provider changed the model behind the name: pin a dated version.",
            "Until this is known, do not take a change of judged quality in these days for one of the outputs.",
            "If the new verdicts are right, take them as the baseline: oqm anchors run --again",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
    FindingKind.EVALUATOR_DOWN: KindInfo(
        headline="Evaluator down",
        meaning="An evaluation model gives no verdicts: it refuses every request, is away, or cannot be read.",
        next_steps=(
            "Read what it answered: is it the key, the billing, the model or the address?",
            "Mend that in `evaluators`, and restart the workers that judge; the alert resolves with its next verdict.",
            "Until then judgments of its criteria are missing: take no rate of quality for the state of now.",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
    FindingKind.CASCADE: KindInfo(
        headline="Cascade",
        meaning="Outputs follow from one another in a loop or a long chain, or one output led to very many actions.",
        next_steps=(
            "Stop what sends the last step of the chain: each round costs money, and may act.",
            "See what followed and what can still be undone, by the first output's id (below): oqm cascade EVENT",
            "Reject what has not begun, and undo what must not stand, with --reject and --undo of the same command.",
            "If so much is usual for this stream, raise its limit under cascades in the settings.",
        ),
        trigger=Trigger.ELSEWHERE,
        severity=SeverityRule.WARNING,
    ),
}


def checked(table: Mapping[FindingKind, KindInfo]) -> Mapping[FindingKind, KindInfo]:
    """The table, read-only. Raises `ValueError` where a kind has no entry or an entry lacks what people read."""
    missing = [kind.value for kind in FindingKind if kind not in table]
    if missing:
        raise ValueError(f"finding kinds without an entry in KINDS: {', '.join(missing)}")
    for kind, info in table.items():
        if not info.headline or not info.meaning or not info.next_steps:
            raise ValueError(f"finding kind {kind.value}: headline, meaning and next_steps must not be empty")
        if bool(info.roles) != (info.trigger in (Trigger.CALL, Trigger.LEADS)):
            raise ValueError(f"finding kind {kind.value}: the trigger {info.trigger.value} does not fit its roles")
    for trigger in (Trigger.CALL, Trigger.LEADS):
        triggering = [role for info in table.values() if info.trigger is trigger for role in info.roles]
        twice = sorted({role.value for role in triggering if triggering.count(role) > 1})
        if twice:
            raise ValueError(f"roles that make two kinds: {', '.join(twice)}")
    return MappingProxyType(dict(table))


KINDS: Mapping[FindingKind, KindInfo] = checked(_TABLE)
"""By kind; where a change fits several, the first one counts."""


def kind_of_call(role: Role | None) -> FindingKind | None:
    """The kind of a change of the call around the model, by the role of what moved."""
    return next((kind for kind, info in KINDS.items() if info.trigger is Trigger.CALL and role in info.roles), None)


def is_upstream(role: Role | None) -> bool:
    """Whether what breaks a feature of this role breaks outputs, too."""
    return any(info.upstream and role in info.roles for info in KINDS.values())
