"""What users or the application say of an output: ratings, thumbs, scores of judges, in the event's `attributes`.

Attributes that the settings declare (`monitor.features.declared_attributes`) are measured as they are declared. Of
the others, recognised by name are attributes that say something of the output (`rating`, `thumbs_up`, `judge.score`,
`verdict`, `outcome`): numbers, booleans, and labels, also where a file has them as text (`4.5`, `true`). They page as
what the call returns does. What is said of an output is no part of the traffic: it follows from the output, and to name
`rating = 2` as the segment that changed would make a change of the traffic of a bad model.

Other numbers and booleans (`cart_value`, `premium`) describe what came in: they are watched as inputs, which is
information and explains outputs that follow them. Other texts name parts of the traffic (tenant, locale), which a
finding names as segments. Names that end like identifiers or times are none of these. Which ones a stream watches is
chosen from its reference (`monitor.detection.columns.keyed_columns`): identifiers and clocks are left out there by
their values.

May import its neighbours in this package and `monitor.events` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from monitor.events.schema import OutputEvent
from monitor.features.base import Column, FeatureSpec, Kind, Role
from monitor.features.declared_attributes import Declared, DeclaredAttribute, nothing_declared
from monitor.features.families.dependencies import clean
from monitor.features.families.json_fields import is_label
from monitor.features.keyed import NO_KEYED, Keyed, with_key
from monitor.features.text.words import EventBatch

NUMBER = FeatureSpec("call.feedback.score", Kind.NUMBER, "attribute {key} of the event", role=Role.FEEDBACK)
FLAG = FeatureSpec("call.feedback.flag", Kind.FLAG, "attribute {key} of the event is true", role=Role.FEEDBACK)
INPUT_NUMBER = FeatureSpec("input.attribute.number", Kind.NUMBER, "attribute {key} of the event", role=Role.CONTEXT)
INPUT_FLAG = FeatureSpec("input.attribute.flag", Kind.FLAG, "attribute {key} of the event is true", role=Role.CONTEXT)
CATEGORY = FeatureSpec("call.feedback.label", Kind.CATEGORY, "attribute {key} of the event", role=Role.FEEDBACK)
_DECLARED_AS = {"number": NUMBER, "flag": FLAG, "category": CATEGORY}
OF_ATTRIBUTES = frozenset(spec.name for spec in (NUMBER, FLAG, CATEGORY, INPUT_NUMBER, INPUT_FLAG))

MAX_ATTRIBUTES = 24  # of one event, those with names of feedback first
_MAY_BE_TRAFFIC = re.compile(r"(?i)(?:status|tool|action|intent|decision)")
"""Names of labels that may be known before the output is: these stay segments, too."""
_FEEDBACK = re.compile(
    r"(?i)(?:feedback|rating|rated|score|thumb|stars?|vote|like|grade|verdict|label|judg|csat|nps|satisf|helpful|"
    r"quality|accept|reject|resolved|escalat|faithful|relevan|grounded|toxic|correct|sentiment|bewertung|nota|avis|"
    r"outcome|status|result|tool|action|intent|decision)"
)
_NO_FEEDBACK = re.compile(
    r"(?i)(?:^|[._-])(?:u?u?id|key|hash|token|ip|port|seed|time|timestamp|ts|date|created|updated|epoch|offset|"
    r"partition|line|row|index|zip|postcode|phone|version|year|month|day|hour)\d*$|(?:Id|ID|At|Time|_at)$"
)
_NUMBER = re.compile(r"\s*[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(?:[eE][+-]?\d{1,2})?\s*\Z")
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}
_MAY_BEGIN_NUMBER = frozenset("0123456789+-. tTfFyYnN")  # or a boolean
_OF_OUTPUT = "call.feedback."
_LONGEST_TEXT = 40  # characters: longer ones are neither a number, nor a boolean, nor a label
_LARGEST = float(np.finfo(np.float32).max)


@lru_cache(maxsize=4096)
def _named_like(name: str) -> bool | None:
    """Whether an attribute's name is that of feedback; None where it is that of an identifier or a time."""
    if _NO_FEEDBACK.search(name):
        return None
    return _FEEDBACK.search(name) is not None


def _ordered(attributes: Mapping[str, object]) -> list[str]:
    names = [name for name in map(str, attributes) if _named_like(name) is not None]
    if len(names) <= MAX_ATTRIBUTES:
        return names
    return sorted(names, key=lambda name: (not _named_like(name), name))[:MAX_ATTRIBUTES]


def feedback_of(event: OutputEvent, declared: Mapping[str, DeclaredAttribute] | None = None) -> Keyed:
    """Attributes of an event that can be watched: those declared for its stream, numbers, booleans, labels of feedback.

    A value that is not of its declared kind counts as missing.
    """
    if not event.attributes:
        return NO_KEYED
    said: dict[str, float | str] = {}
    for name, attribute in (declared or {}).items():
        value = None if name not in event.attributes else _as_declared(event.attributes[name], attribute)
        if value is not None:
            said[with_key(_DECLARED_AS[attribute.kind].name, clean(name))] = value
    for name in _ordered(event.attributes):
        if declared and name in declared:
            continue
        of_output = _named_like(name)
        given = event.attributes.get(name)
        if isinstance(given, str) and not of_output and given[:1] not in _MAY_BEGIN_NUMBER:
            continue  # a part of the traffic
        value = _plain(given)
        if value is None or (isinstance(value, str) and not of_output):
            continue
        if isinstance(value, bool):
            said[with_key((FLAG if of_output else INPUT_FLAG).name, clean(name))] = float(value)
        elif isinstance(value, float):
            said[with_key((NUMBER if of_output else INPUT_NUMBER).name, clean(name))] = value
        elif is_label(value):
            said[with_key(CATEGORY.name, clean(name))] = clean(value)
    return said or NO_KEYED


def is_said_of_output(name: str, value: object) -> bool:
    """Whether an attribute that is not declared is a score, a thumb or a verdict: it follows from the output."""
    if not _named_like(name):
        return False
    plain = _plain(value)
    return isinstance(plain, bool | float) or (isinstance(plain, str) and not _MAY_BE_TRAFFIC.search(name))


def _as_declared(value: object, attribute: DeclaredAttribute) -> float | str | None:
    """The value as the kind that is declared; None where it is not of this kind, or to be ignored."""
    plain = _plain(value)
    if attribute.kind == "number":
        return float(plain) if isinstance(plain, bool | float) else None
    if attribute.kind == "flag":
        return float(plain) if plain in (0, 1) else None  # a boolean is one of them
    if attribute.kind == "category" and plain is not None:
        if isinstance(value, str):
            return clean(value) or None
        return str(plain).lower() if isinstance(plain, bool) else f"{plain:g}"
    return None


def _plain(value: object) -> bool | float | str | None:
    """An attribute as what it means: a text that is a number or a boolean is one; None for what is none of these."""
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            return None
        boolean = _BOOLEANS.get(value.strip().lower())
        if boolean is not None:
            return boolean
        return float(value) if any(map(value.__contains__, "0123456789")) and _NUMBER.match(value) else value
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and abs(value) <= _LARGEST:  # an infinite one is larger, NaN is no number
        return float(value)
    return None


class Feedback:
    """Family `feedback`: how many attributes can be watched, and each of them with its key.

    `declared` gives the attributes that the settings declare for a stream.
    """

    def __init__(self, declared: Declared = nothing_declared) -> None:
        self._declared = declared

    family = "feedback"
    word_columns: Mapping[str, Callable[[str], float]] = {}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "call.feedback.given", Kind.COUNT, "scores and labels that come with an output as attributes",
            "attributes", role=Role.FEEDBACK,
        ),
    )  # fmt: skip
    templates: tuple[FeatureSpec, ...] = (NUMBER, FLAG, CATEGORY, INPUT_NUMBER, INPUT_FLAG)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name."""
        given = [sum(name.startswith(_OF_OUTPUT) for name in said) for said in self._said(batch)]
        return {"call.feedback.given": np.array(given, dtype=np.float32)}

    def keyed(self, batch: EventBatch) -> Sequence[Keyed]:
        """The attributes of each event that can be watched."""
        return self._said(batch)

    def without_feedback(self, event: OutputEvent, segments: dict[str, str]) -> dict[str, str]:
        """The segments of an event but those that are said of its output, or declared in any way."""
        if not event.attributes:
            return segments
        declared = self._declared(event.stream)
        said = {
            f"attributes.{name}"
            for name, value in event.attributes.items()
            if name in declared or is_said_of_output(str(name), value)
        }
        return {name: value for name, value in segments.items() if name not in said} if said else segments

    def _said(self, batch: EventBatch) -> list[Keyed]:
        """What each event of a batch says, read once for it."""
        found: list[Keyed] | None = batch.output.memory.get("feedback")
        if found is None:
            found = [feedback_of(event, self._declared(event.stream)) for event in batch.events]
            batch.output.memory["feedback"] = found
        return found


def is_left_out(name: str) -> bool:
    """Whether an attribute's name is that of an identifier or a time, so that its values are not measured."""
    return _named_like(name) is None
