"""One change as a sentence: `Answers are longer: 31 to 68 words`, `Answers are empty in 3 % (2 of 64)`.

Called by `wording` with the changes that a finding names. The words of each feature come from
`monitor.features.change_words`; what is said of both sides follows from what they are: medians in the feature's unit,
or shares of events, with their counts. Each way to say a change is one function. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.detection.columns.flags import ANY_FAILURE
from monitor.detection.columns.rare_categories import NONE
from monitor.detection.diagnosis.naming import LIMIT_FINISHES, words_of
from monitor.detection.diagnosis.rounding import number
from monitor.detection.records.declared_features import DeclaredFeatures, side_of
from monitor.detection.records.finding import (
    ANY,
    DIFFERS,
    FAMILY_MISSING,
    PRESENT,
    SPREAD,
    TAIL,
    FeatureChange,
    base_name,
)
from monitor.features.base import FeatureSpec, Kind, Role
from monitor.features.change_words import (
    IN_FRONT_OF_JSON,
    JSON_START_WORDS,
    LANGUAGE_NAMES,
    ChangeWords,
    Form,
    as_within,
)
from monitor.features.families.dependencies import is_keyed
from monitor.features.keyed import has_key, split_key
from monitor.statistics.rates import wilson

EVENTS_WITHOUT_INTERVAL = 200
"""Events from which a share is given without an interval: that of half of them is then within 7 points."""
NEARLY_ALL, NEARLY_NONE = 0.95, 0.0005
"""Shares from which a category's value took the place of another, and below which a share before is left out: rounded,
it is 0."""
SMALLEST_WHOLE = 10.0
"""Lengths from which tenths are left out; below, half a sentence more is worth saying."""
_ANSWERS = "Answers "
_FAMILIES = {"output": "Answers", "input": "Inputs", "call": "Values of the call"}


def sentence(change: FeatureChange, specs: DeclaredFeatures) -> str:
    """One change in words. The first of `_WAYS` that has something to say is taken."""
    spec = specs.spec(change.name)
    words = words_of(change, specs)
    said = next(filter(None, (way(change, spec, words) for way in _WAYS)), None)
    return said or f"{words.noun or words.clause(rose=change.effect > 0)}: changed"


def share(value: float) -> str:
    """A share in per cent, with a decimal below ten: `0.3 %`, `12 %`."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 9.95 or percent < 0.05 else f"{percent:.1f} %".replace(".0 %", " %")


def counted(change: FeatureChange) -> str:
    """How many events a share after a change is of: ` (4 of 7 so far, 25 to 84 %)`; empty where that is not known."""
    if change.events is None or not isinstance(change.after, float) or not change.events:
        return ""
    hits = round(change.after * change.events)
    if change.events >= EVENTS_WITHOUT_INTERVAL:
        return f" ({hits:,} of {change.events:,})"
    interval = wilson(hits, change.events)
    return f" ({hits} of {change.events} so far, {100 * interval.low:.0f} to {100 * interval.high:.0f} %)"


# Ways to say a change; each gives None where it does not apply.


def _nothing_known(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    if isinstance(change.before, float | int) and isinstance(change.after, float | int):
        return None
    return f"{words.clause(rose=change.effect > 0)}"


def _derived(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """What is derived from several columns: any failure, missing values."""
    if change.name == ANY_FAILURE:
        return _moved_share(change, "Answers are faulty", "Fewer answers are faulty")
    if not change.name.endswith(FAMILY_MISSING):
        return None
    family = change.name.removesuffix(FAMILY_MISSING)
    side = _FAMILIES.get(family.partition(".")[0], "Values")
    return _moved_share(change, f"{side} are missing or cannot be measured", f"Fewer {side.lower()} are missing")


def _tail(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    if not change.name.endswith(TAIL):
        return None
    before, after = _both(change)
    where = f"{share(after)}{counted(change)} {change.value or 'in the tail'}, {share(before)} before"
    clause = words.clause(rose=change.effect > 0)
    if clause.startswith(_ANSWERS):
        return f"Some {as_within(clause)}: {where}"
    return f"{clause} in some {'answers' if side_of(change.name) == 'output' else 'calls'}: {where}"


def _spread(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    if not change.name.endswith(SPREAD):
        return None
    before, after = _both(change)
    how = "varies more" if change.effect > 0 else "varies less"
    middle = f"its middle half spans {number(after)}{_unit(spec)}, {number(before)} before"
    meaning = base_name(change.name) if spec is None else spec.meaning.partition(",")[0].partition(":")[0]
    return f"{meaning[:1].upper()}{meaning[1:]} {how}: {middle}"


def _opaque(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    return words.rose if words.topic in ("meaning", "asked") else None


def _language(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """`Answers are in German instead of English`."""
    if spec is None or spec.role is not Role.LANGUAGE or spec.kind is not Kind.CATEGORY or change.value is None:
        return None
    now = _of_language(change.value)
    if change.value == NONE:
        return _moved_share(change, f"The language of {words.rose.split()[0].lower()} is unknown", "")
    return _value_share(change, f"{words.rose} {now}", None if change.usual is None else _of_language(change.usual))


def _of_language(code: str) -> str:
    return LANGUAGE_NAMES.get(code, code)


def _json_key(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """`JSON key `priority` is missing in 100 % (24 of 24 so far, ...)`."""
    if words.form not in (Form.KEY, Form.VALUE) or change.value is None or not has_key(change.name):
        return None
    _, key = split_key(change.name)
    if words.form is Form.KEY:
        if change.value == NONE:
            return _value_share(change, f"JSON key `{key}` is missing")
        return _value_share(change, f"JSON key `{key}` is of type {change.value}", change.usual)
    return _value_share(change, f"JSON key `{key}` is `{change.value}`")


def _json_shape(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """The keys by which two shapes of a JSON object differ."""
    if words.form is not Form.SHAPE:
        return None
    before, after = _keys(change.usual), _keys(change.value)
    if before is None or after is None:
        return None
    missing, new = [key for key in before if key not in after], [key for key in after if key not in before]
    retyped = [key for key in before if key in after and before[key] != after[key]]
    if len(missing) == len(new) == 1 and not retyped:
        return _value_share(change, f"JSON key `{missing[0]}` is called `{new[0]}`")
    parts = [f"key `{key}` is missing" for key in missing] + [f"key `{key}` is new" for key in new]
    parts += [f"key `{key}` is {after[key]} instead of {before[key]}" for key in retyped]
    return _value_share(change, f"JSON {' and '.join(parts[:2])}") if parts else None


def _keys(shape: str | None) -> dict[str, str] | None:
    """Keys with their types of a shape such as `{id:num,lines:[str]}`; None where it is none or was cut."""
    if shape is None or not (shape.startswith("{") and shape.endswith("}")):
        return None
    keys: dict[str, str] = {}
    depth, start = 0, 1
    for at, letter in enumerate(shape[1:], 1):
        depth += (letter in "{[") - (letter in "}]")
        if (letter == "," and depth == 0) or at == len(shape) - 1:
            name, colon, kind = shape[start:at].partition(":")
            if colon:
                keys[name] = kind
            start = at + 1
    return keys


def _category(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """Another value of a category became frequent: `The tool called is get_customer in 52 % (...), 0 % before`."""
    if spec is None or spec.kind is not Kind.CATEGORY:
        return None
    clause = words.rose or words.noun
    if spec.role is Role.FINISH and str(change.value).lower() in LIMIT_FINISHES:
        return _moved_share(change, f"Answers are cut off at a limit (finish reason {change.value})", "")
    if change.value is None:
        return f"{clause} another value than before" if clause.endswith((" is", " in")) else clause
    if change.value == NONE and words.denied:
        return _moved_share(change, words.denied, "")
    if words is JSON_START_WORDS and change.value in IN_FRONT_OF_JSON:
        return _moved_share(change, IN_FRONT_OF_JSON[change.value], "")
    if words.form is Form.SHAPE:
        return _value_share(change, clause)  # a shape whose end was cut says nothing to a person
    if clause.endswith((" format", " types", " arguments", " value")):
        return _value_share(change, clause if change.value == NONE else f"{clause} ({change.value})")
    return _value_share(change, f"{clause} {change.value}", change.usual)


def _quality(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """`Fewer outputs pass `answers`: 92 % before, 78 % of 45 (64 to 88 %)`: the flag says who failed."""
    if spec is None or spec.role is not Role.QUALITY or spec.kind is not Kind.FLAG:
        return None
    before, after = _both(change)
    now = share(1 - after)
    if change.events:
        interval = wilson(round((1 - after) * change.events), change.events)
        now += f" of {change.events:,} ({100 * interval.low:.0f} to {100 * interval.high:.0f} %)"
    return f"{words.clause(rose=after > before)}: {share(1 - before)} before, {now}"


def _flag(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    if spec is None or spec.kind is not Kind.FLAG:
        return None
    before, after = _both(change)
    if words.denied and after < before:
        hits = None if change.events is None else change.events
        other = FeatureChange(change.name, 1 - before, 1 - after, -change.effect, events=hits)
        return _moved_share(other, words.denied, "")
    rose = words.rose or words.clause(rose=True)
    if words.rose or after < before:
        return _moved_share(change, rose, words.clause(rose=False))
    return f"{rose}: {share(before)} to {share(after)}{counted(change)}"


def _present(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """A feature that the reference never had: the share of events that have it."""
    if change.statistic != PRESENT:
        return None
    subject = words.noun or (change.name if spec is None else spec.meaning.partition(",")[0].partition(":")[0])
    return _moved_share(change, f"{subject[:1].upper()}{subject[1:]} can be measured", "", always_sides=True)


def _any(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """A number or count that is mostly zero: the share of events in which it is not."""
    if change.statistic != ANY:
        return None
    subject = words.noun or words.clause(rose=True)
    return _moved_share(change, subject, subject, always_sides=not words.noun)


def _differs(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    """A number that never varied: the share of events in which it is another."""
    if change.statistic != DIFFERS:
        return None
    subject = words.noun or ("" if spec is None else spec.meaning.partition(",")[0]) or change.name
    return _moved_share(change, f"{subject[:1].upper()}{subject[1:]}: other than {change.value}{_unit(spec)}", "")


def _median_stayed(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    before, after = _both(change)
    if number(before) != number(after):
        return None
    return f"{words.clause(rose=change.effect > 0)}: the median is still {_figure(before, spec)}{_unit(spec)}"


def _number(change: FeatureChange, spec: FeatureSpec | None, words: ChangeWords) -> str | None:
    before, after = _both(change)
    sides = f"{_figure(before, spec)} to {_figure(after, spec)}"
    return f"{words.clause(rose=after > before)}: {sides}{_unit(spec)}"


_WAYS: tuple[Callable[[FeatureChange, FeatureSpec | None, ChangeWords], str | None], ...] = (
    _nothing_known,
    _derived,
    _tail,
    _spread,
    _opaque,
    _language,
    _json_key,
    _json_shape,
    _category,
    _quality,
    _flag,
    _present,
    _any,
    _differs,
    _median_stayed,
    _number,
)
"""The most specific first; all but the first know both sides."""


def _figure(value: float, spec: FeatureSpec | None) -> str:
    """A number as text: of lengths whole, as there is no tenth of a word, and rows are held to 1 %."""
    whole = spec is not None and spec.role is Role.LENGTH and abs(value) >= SMALLEST_WHOLE
    return f"{round(value):,}" if whole else number(value)


def _both(change: FeatureChange) -> tuple[float, float]:
    """Both sides, for ways behind `_nothing_known`."""
    assert isinstance(change.before, float | int)
    assert isinstance(change.after, float | int)
    return change.before, change.after


def _unit(spec: FeatureSpec | None) -> str:
    return f" {spec.unit}" if spec is not None and spec.unit else ""


def _moved_share(change: FeatureChange, rose: str, fell: str, *, always_sides: bool = False) -> str:
    """`Answers are empty in 3 % (2 of 64 so far, ...)`; of a fall both shares: `Fewer refusals: 12 % to 1 % (...)`."""
    before, after = _both(change)
    of = " of its calls" if is_keyed(base_name(change.name)) else ""
    if after < before and fell != rose and fell:
        return f"{fell}: {share(before)} to {share(after)}{of}{counted(change)}"
    usual = "" if before < NEARLY_NONE and after > before and not always_sides else f", {share(before)} before"
    return f"{rose} in {share(after)}{of}{counted(change)}{usual}"


def _value_share(change: FeatureChange, clause: str, instead_of: str | None = None) -> str:
    """A value with its share; where nearly all have it, only what it took the place of."""
    _, after = _both(change)
    if instead_of is not None and after >= NEARLY_ALL and change.effect > 0:
        return f"{clause} instead of {instead_of}"
    return _moved_share(change, clause, "")


def joined(sentences: list[str]) -> str:
    """Several sentences as one, within another."""
    return "; ".join(as_within(each) for each in sentences)
