"""What a feature extractor is: the contract that every family in this package keeps.

A family (length, format, tone, ...) is one module with one class. It declares its features and maps a batch of events
to columns. It is pure: same events in, same columns out, whatever else is in the batch. Missing is missing (NaN for
numbers, counts and flags, None for categories), never zero. Time is linear in the length of the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from monitor.features.text.words import EventBatch

    Column: TypeAlias = NDArray[np.float32] | Sequence[str | None]
    """n values: float32 with NaN for missing (number, count, flag), or strings with None for missing (category)."""
else:
    Column = Sequence  # numpy is loaded where something is measured: roles and specifications do not need it


class Kind(StrEnum):
    """Which bets a detector may place on a feature."""

    NUMBER = "number"  # real-valued
    COUNT = "count"  # non-negative integer, zeros often in excess
    FLAG = "flag"  # 0 or 1
    CATEGORY = "category"  # string
    VECTOR = "vector"  # fixed-length float vector


class Worse(StrEnum):
    """The direction of change that hurts a user; severity and wording follow it, detection does not."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"


class Role(StrEnum):
    """What it means when a feature changes. The kind and the title of a finding follow from the roles of what moved
    (`monitor.detection.records.finding_kinds`), so that detection knows no feature by its name."""

    STYLE = "style"  # how a text is written: tone, vocabulary; also what has no other role
    LENGTH = "length"  # how long a text is: latency, tokens and cost follow it
    LAYOUT = "layout"  # headings, lists, code blocks, how it begins and ends
    MEANING = "meaning"  # what is said, by an embedding
    LANGUAGE = "language"
    REFUSAL = "refusal"
    FORMAT = "format"  # what a program that reads outputs fails on: broken JSON, a missing key
    TRUNCATION = "truncation"
    EMPTY = "empty"  # an output that holds nothing
    REPETITION = "repetition"
    PRIVACY = "privacy"  # personal data or a secret in an output
    CONTENT_FAULT = "content_fault"  # what no user may see: a placeholder left in, an insult
    FACTS = "facts"  # amounts, durations, dates and other values that an output states
    TOOLS = "tools"  # which tool is called, and with what
    LATENCY = "latency"
    ERROR = "error"
    FINISH = "finish"  # why the model stopped: with an answer, with a tool call, at a limit
    DEPENDENCY = "dependency"
    CONTEXT = "context"  # how much is sent to the model
    SESSION = "session"  # where in a conversation the call stands: a context grows with its turns
    NOISE = "noise"  # how far an input is from clean text: misspelling, odd characters
    COST = "cost"
    CHECK = "check"  # an output violates a criterion that the user wrote
    QUALITY = "quality"  # an output fails a criterion in an evaluation model's judgment
    FEEDBACK = "feedback"  # what users or the application itself say of an output


class FeatureSpec(msgspec.Struct, frozen=True):
    """Declaration of one feature.

    `name` is `<side>.<family>.<name>` with side input, output or call. `unit` is empty for pure numbers. `meaning` is
    one line for people on call. `failure` marks flags whose being true is a fault in itself (empty output, error):
    they have the lower effect floor. `role` says what a change of it means.

    `lead` orders the features of a role in what a finding says: the lowest is named first, and is the one that stands
    for the role where one is needed (the latency that an objective counts). None: no place before other features.
    `opaque` marks numbers whose direction tells a person nothing, as one direction of an embedding: a finding names
    them by their meaning, after all others.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    worse: Worse = Worse.EITHER
    failure: bool = False
    role: Role = Role.STYLE
    lead: int | None = None
    opaque: bool = False

    @property
    def side(self) -> str:
        """`input`, `output` or `call`."""
        return self.name.split(".", 1)[0]


class Extractor(Protocol):
    """One family of features.

    `word_columns` are functions of a single whitespace-separated word, summed over each text in the one pass that all
    families share (`monitor.features.text.words`); a family reads its sums from the batch instead of scanning the text.
    Each function is called once per distinct word and must be pure.

    `extract` is called once per micro-batch from one thread. It may raise: the caller then extracts event by event and
    only the event that fails is missing, counted by family.
    """

    @property
    def family(self) -> str:
        """Name by which configuration selects the family and failures are counted."""
        ...

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """What the family measures, in column order; the same for every instance with the same arguments."""
        ...

    @property
    def word_columns(self) -> Mapping[str, Callable[[str], float]]:
        """Functions of a word whose sums and values the family reads, by name; others may declare the same ones."""
        ...

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name, one value per event, in the batch's order."""
        ...
