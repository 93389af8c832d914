"""`KeyedColumns`: which columns with a key a stream watches, chosen from the rows of its warm-up.

Called by `monitor.detection.stream.stream_monitor` beside `DependencyColumns`. A key is watched where enough rows of
the reference have it: its type in JSON outputs, its value where it comes from a small closed set, its number, the
shape of a tool's arguments, an attribute of the application (`monitor.features.families.keyed_templates`).

Numbers that only count on are left out: identifiers (whole, large, nearly each one another) and clocks (they rise with
the order of the rows). Of categories, those whose values the reference has not nearly all seen are left out, too: names
and free text are never normal twice.

Pure. May import `monitor.detection.columns` and `monitor.features`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.detection.columns.answered_questions import AnsweredQuestions
from monitor.detection.columns.categories import ABSENT
from monitor.detection.columns.dependency_columns import MIN_ROWS, MIN_ROWS_OF_A_SHORT_WARMUP
from monitor.detection.columns.known_values import KnownValues
from monitor.detection.columns.normal_scores import compress
from monitor.detection.columns.stream_rows import StreamRows
from monitor.detection.reference.young_reference import least_rows
from monitor.detection.state.snapshot_codec import StateRecord
from monitor.features.base import FeatureSpec, Kind
from monitor.features.declared_attributes import DeclaredAttribute
from monitor.features.families.facts import NEW_VALUE, OTHER_ANSWER
from monitor.features.families.feedback import OF_ATTRIBUTES
from monitor.features.families.keyed_templates import TEMPLATES, Template
from monitor.features.keyed import NO_KEYED, Keyed, spec_with_key, split_key

MAX_CLOSED_SET = 12
"""Values of a category that make a closed set: twice as many as get flags of their own (`TOP_VALUES`)."""
MAX_NEW_SHARE = 0.02
"""Share of a category's rows whose value no other row has, up to which its set counts as closed."""
ID_FROM = 1_000.0
"""Whole numbers that reach this and differ in most rows are identifiers; scores and counts lie below."""
MAX_DISTINCT_SHARE = 0.5  # of the rows: with fewer distinct ones the number comes again, so it counts something
CLOCK_CORRELATION = 0.9
"""Rank correlation with the order of rows from which a number is a clock or a counter: it has no level to keep."""
TRUE_FROM = 0.5  # flags are 0 and 1: any place between would do
NOTHING: Mapping[str, DeclaredAttribute] = MappingProxyType({})
"""No declared attributes."""


class KeyedColumnsState(StateRecord):
    """Of `KeyedColumns`; `known` and `answered` are None where no values are watched."""

    names: list[str]
    known: list[str] | None
    answered: list[tuple[str, list[tuple[str, ...]]]] | None = None


class KeyedColumns:
    """Chosen from the rows of a warm-up, and the same until the next.

    Attributes
    ----------
    names
        The columns, in order.
    known
        The facts that the reference states, where it states a closed set of them; None else.
    answered
        What it states in answer to inputs that repeat, where their answers are settled; None else.
    specs
        Declarations of what is watched.
    """

    def __init__(
        self,
        names: tuple[str, ...] = (),
        known: KnownValues | None = None,
        declared: Mapping[str, DeclaredAttribute] = NOTHING,
        answered: AnsweredQuestions | None = None,
    ) -> None:
        self.names = names
        self.known = known
        self.answered = answered
        self.specs: tuple[FeatureSpec, ...] = (
            *(_spec(name, declared) for name in names),
            *(() if known is None else (NEW_VALUE,)),
            *(() if answered is None else (OTHER_ANSWER,)),
        )
        self._templates = [TEMPLATES[split_key(name)[0]] for name in names]

    @classmethod
    def of(cls, rows: StreamRows, declared: Mapping[str, DeclaredAttribute] = NOTHING) -> KeyedColumns:
        """The columns to watch of these rows, a stream's reference; those of `declared` attributes come first."""
        if not rows.keyed:
            return cls()
        called = Counter(name for each in rows.keyed for name in each)
        least = least_rows(MIN_ROWS, len(rows), MIN_ROWS_OF_A_SHORT_WARMUP)
        room = {feature: template.most for feature, template in TEMPLATES.items()}
        chosen = []
        order = sorted(called.items(), key=lambda item: (not _is_declared(item[0], declared), -item[1], item[0]))
        for name, count in order:
            feature = split_key(name)[0]
            if _is_declared(name, declared):
                if count >= least and _has_a_level(TEMPLATES[feature], name, rows.keyed):
                    chosen.append(name)
            elif count >= least and room.get(feature) and _has_a_level(TEMPLATES[feature], name, rows.keyed):
                room[feature] -= 1
                chosen.append(name)
        return cls(tuple(sorted(chosen)), KnownValues.of(rows.keyed), declared, AnsweredQuestions.of(rows.keyed))

    def as_columns(self, rows: StreamRows, *, learning: bool) -> StreamRows:
        """The rows (n) with these columns; no value where a row does not have the key.

        `learning` says that these are the rows that the columns were chosen from: what of them is new is judged by the
        others.
        """
        if not self.specs:
            return rows if rows.keyed is None else replace(rows, keyed=None)
        keyed = [NO_KEYED] * len(rows) if rows.keyed is None else rows.keyed
        numbers: dict[str, NDArray[np.float64]] = {}
        categories: dict[str, list[str | None]] = {}
        for name, template in zip(self.names, self._templates, strict=True):
            if template.spec.kind is Kind.CATEGORY:
                categories[name] = [_text(each, name, template) for each in keyed]
            else:
                numbers[name] = np.array([_number(each, name) for each in keyed])
        if self.known is not None:
            categories[NEW_VALUE.name] = self.known.new_values(keyed, learning=learning)
        if self.answered is not None:
            categories[OTHER_ANSWER.name] = self.answered.other_values(keyed, learning=learning)
        values = [rows.values, *(compress(column)[:, None] for column in numbers.values())]
        return replace(
            rows,
            names=rows.names + tuple(numbers),
            values=np.concatenate(values, axis=1) if numbers else rows.values,
            categories={**rows.categories, **categories},
            keyed=None,
        )

    def to_state(self) -> KeyedColumnsState:
        """For a snapshot."""
        return KeyedColumnsState(
            list(self.names),
            None if self.known is None else self.known.to_state(),
            None if self.answered is None else self.answered.to_state(),
        )

    @classmethod
    def from_state(cls, state: KeyedColumnsState, declared: Mapping[str, DeclaredAttribute] = NOTHING) -> KeyedColumns:
        """The columns that `state` described; a template that this version does not have is dropped."""
        still = tuple(name for name in state.names if split_key(name)[0] in TEMPLATES)
        known = None if state.known is None else KnownValues.from_state(state.known)
        answered = None if state.answered is None else AnsweredQuestions.from_state(state.answered)
        return cls(still, known, declared, answered)

    def with_declared(self, declared: Mapping[str, DeclaredAttribute]) -> KeyedColumns:
        """The same columns, with the directions that hurt as they are declared now."""
        return KeyedColumns(self.names, self.known, declared, self.answered)


def _is_declared(name: str, declared: Mapping[str, DeclaredAttribute]) -> bool:
    feature, key = split_key(name)
    return key in declared and feature in OF_ATTRIBUTES


def _spec(name: str, declared: Mapping[str, DeclaredAttribute]) -> FeatureSpec:
    feature, key = split_key(name)
    spec = spec_with_key(TEMPLATES[feature].spec, key)
    return msgspec.structs.replace(spec, worse=declared[key].direction) if _is_declared(name, declared) else spec


def _number(said: Keyed, name: str) -> float:
    value = said.get(name)
    return value if isinstance(value, float) else np.nan


def _text(said: Keyed, name: str, template: Template) -> str | None:
    """A category's value: missing where an event has other keys of this feature, absent where it has none at all."""
    value = said.get(name)
    if isinstance(value, str):
        return value
    if template.expected and any(split_key(other)[0] == template.spec.name for other in said):
        return None
    return ABSENT


def _has_a_level(template: Template, name: str, keyed: list[Keyed]) -> bool:
    """Whether a column has a normal state that later rows can be compared with."""
    values = [each[name] for each in keyed if name in each]
    if template.spec.kind is Kind.FLAG:
        return True
    if template.spec.kind is Kind.CATEGORY:
        counts = Counter(values)
        once = sum(count == 1 for count in counts.values())
        return len(counts) <= MAX_CLOSED_SET and once <= MAX_NEW_SHARE * len(values)
    numbers = np.array([value for value in values if isinstance(value, float)])
    distinct, ranks = np.unique(numbers, return_inverse=True)
    if len(distinct) <= 2:
        return len(distinct) > 0
    whole = bool((numbers == np.floor(numbers)).all())
    if whole and np.abs(numbers).max() >= ID_FROM and len(distinct) > MAX_DISTINCT_SHARE * len(numbers):
        return False
    return bool(abs(np.corrcoef(ranks, np.arange(len(numbers)))[0, 1]) < CLOCK_CORRELATION)
