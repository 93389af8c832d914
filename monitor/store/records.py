"""Rows of the store from messages of the log. Called by the worker's store stage. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from monitor.alerting.alert import Alert
from monitor.criteria.derived import feedback_of, judged_of
from monitor.detection.records.finding import Excerpt
from monitor.events.redaction import mask_each
from monitor.events.schema import OutputEvent, as_published
from monitor.judgment.records import Judgment
from monitor.store.edge_rows import edge_rows
from monitor.store.judged import CountedOutput, judgment_row
from monitor.store.kept_form import kept, kept_calls
from monitor.store.periods import DAY_S
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.texts import storable

MAX_HASH_CHARS = 128  # of a prompt as its application sends it: room for SHA-512; a longer one is hashed once more

_COLUMNS = frozenset({"stream", "id", "time", "input", "output"})
"""Fields of an event that have columns; `fields` has the others."""
_METADATA = frozenset(
    {"model", "prompt", "finish_reason", "usage", "cost_usd", "latency", "session", "trace", "reasoning", "causes"}
)
"""Fields that the application's code sets, not people: always kept as they are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands in the log: id of its topic, partition, offset, and Kafka's time in seconds since 1970."""

    topic: str
    partition: int
    position: int
    time: float

    @property
    def day(self) -> int:
        """Days since 1970."""
        return int(self.time // DAY_S)

    def columns(self) -> dict[str, Any]:
        """The columns that name a row."""
        return {"day": self.day, "topic": self.topic, "partition": self.partition, "position": self.position}


@dataclass(slots=True)
class Incoming:
    """What one transaction writes.

    Attributes
    ----------
    outputs, violations, alerts, judgments, edges
        Rows of the tables of those names.
    feedback
        Rows of what users say, in the order of the log.
    counted
        Outputs for the tables of counts, in the order of the log.
    prompts
        Texts of prompts by their hashes.
    positions
        The next position to be read, by topic id and partition.
    alerts_read
        Up to when the topic of alerts is read, in seconds since 1970, by topic id and partition.
    """

    outputs: list[dict[str, Any]] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    judgments: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)
    counted: list[CountedOutput] = field(default_factory=list)
    prompts: dict[str, str] = field(default_factory=dict)
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    alerts_read: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def by_day(self) -> tuple[list[dict[str, Any]], ...]:
        """The rows that have a day, in the order of `monitor.store.tables.BY_DAY`."""
        return self.outputs, self.violations, self.alerts, self.judgments, self.edges

    def add_outputs(self, events: Sequence[tuple[OutputEvent, Place]], privacy: Privacy) -> None:
        """Output events, each in the form that the policy of its stream allows."""
        policies = [privacy.policy(event.stream) for event, _ in events]
        # Most of the texts of a batch at once: looked at one by one, they are what takes the time.
        pairs = list(zip(events, policies, strict=True))
        asked = [(event.input if policy.input is Keep.MASKED else None) or "" for (event, _), policy in pairs]
        said = [(event.output if policy.output is Keep.MASKED else None) or "" for (event, _), policy in pairs]
        texts = mask_each([*asked, *said])
        key = privacy.key
        for row, ((event, place), policy) in enumerate(pairs):
            self._add(event, place, policy, key, texts[row], texts[len(events) + row])

    def _add(
        self, event: OutputEvent, place: Place, policy: FieldPolicy, key: bytes, masked_input: str, masked_output: str
    ) -> None:
        prompt_hash = self._prompt(event, policy, key)
        published = as_published(event)
        fields = {
            name: _kept_field(name, value, policy, key) for name, value in published.items() if name not in _COLUMNS
        }
        if "prompt" in fields:
            fields["prompt"] = {name: value for name, value in published["prompt"].items() if name != "text"}
        time = event.time if event.time is not None else place.time
        self.edges += edge_rows(event, place.day, time)
        self.outputs.append(
            {
                **place.columns(),
                "stream": event.stream,
                "event": storable(event.id) or "",
                "time": time,
                "version": storable(version_of(event)),
                "session": storable(event.session.id),
                "trace": storable(event.trace.trace_id),
                "input": _text(event.input, policy.input, key, masked_input),
                "output": _text(event.output, policy.output, key, masked_output),
                "prompt": prompt_hash,
                "fields": _json({name: value for name, value in fields.items() if value is not None}),
            }
        )

    def add_judgment(
        self, judgment: Judgment, message_time: float, privacy: Privacy, attribute: str | None = None
    ) -> None:
        """A judgment, its reason in the form that the policy of its stream allows.

        `message_time` is Kafka's, in seconds since 1970; `attribute` is the segment that the settings chose.
        """
        policy, key = privacy.policy(judgment.stream), privacy.key
        self.judgments.append(judgment_row(judgment, message_time, policy, key, attribute))

    def add_alert(self, alert: Alert, place: Place, privacy: Privacy) -> None:
        """A transition of an alert; its excerpts, which are masked, only where the stream's texts are kept readable."""
        policy = privacy.policy(_source(alert.stream))
        before, after = (
            [_kept_excerpt(one, policy) for one in excerpts]
            for excerpts in (alert.excerpts_before, alert.excerpts_after)
        )
        kept_alert = msgspec.structs.replace(alert, excerpts_before=before, excerpts_after=after)
        self.alerts.append(
            {
                **place.columns(),
                "stream": storable(alert.stream) or "",
                "alert": storable(alert.fingerprint) or "",
                "body": _json(kept_alert),
            }
        )

    def _prompt(self, event: OutputEvent, policy: FieldPolicy, key: bytes) -> str | None:
        text, given = event.prompt.text, storable(event.prompt.hash)
        if given is not None and len(given) > MAX_HASH_CHARS:
            given = _sha256(given)
        if text is None:
            return given
        digest = given or _sha256(text)
        if policy.prompt is not Keep.NONE and digest not in self.prompts:
            self.prompts[digest] = storable(kept(text, policy.prompt, key)) or ""
        return digest


def _text(text: str | None, keep: Keep, key: bytes, masked: str) -> str | None:
    return storable(masked if keep is Keep.MASKED and text is not None else kept(text, keep, key))


def _source(stream: str) -> str:
    """The stream whose outputs an alert is about: of a derived stream that of the outputs that were judged."""
    derived = judged_of(stream) or feedback_of(stream)
    return stream if derived is None else derived[0]


def _kept_excerpt(excerpt: Excerpt, policy: FieldPolicy) -> Excerpt:
    readable = (Keep.FULL, Keep.MASKED)  # the hash of an excerpt would equal nothing
    return Excerpt(
        event_id=excerpt.event_id,
        input=excerpt.input if policy.input in readable else "",
        output=excerpt.output if policy.output in readable else "",
    )


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _kept_field(name: str, value: Any, policy: FieldPolicy, key: bytes) -> Any:
    if name in _METADATA:
        return value
    if name in ("steps", "calls", "action"):
        return kept_calls(value, policy.steps, key)
    if name == "error":
        return kept(value, policy.output, key)
    return kept(value, policy.attributes, key)


def version_of(event: OutputEvent) -> str | None:
    """Model and prompt with their versions as people write them: `gpt-4.1 2026-05-01, answer 3`."""
    model = " ".join(filter(None, (event.model.name, event.model.version)))
    prompt = " ".join(filter(None, (event.prompt.name, event.prompt.version)))
    return ", ".join(filter(None, (model, prompt))) or None


def _json(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # half of a surrogate pair somewhere inside
        text = msgspec.json.encode(_clean(value)).decode()
    return text.replace("\\u0000", "\\ufffd")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
