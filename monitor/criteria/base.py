"""What a check is: configuration that an operator writes, and a function over a batch of outputs.

A new check is one module in `monitor.criteria.checks` with a subclass of `Check`, and one line in
`monitor.criteria.registry`. A check is pure, never raises for an output of any kind, and takes time linear in the
output's length. May import `monitor.config_values`, `monitor.events` and `monitor.features`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict

from monitor.events.schema import OutputEvent

if TYPE_CHECKING:
    from monitor.features.base import Column, FeatureSpec

Verdict: TypeAlias = bool | None
"""Of one output: True where it violates the check, False where it does not, None where that cannot be decided."""


class Outputs:
    """The outputs of a batch as checks read them; what several checks need of one output is worked out once.

    Parameters
    ----------
    events
        The batch's n events.
    texts
        Their n outputs; None where there is no text to check (withheld, tool calls only, a part of an output).
    column
        Gives the n values of a feature by name, or None where no family measures it.
    languages
        Gives ISO 639-1 code and probability of the language of each text, None where there is too little text.
    """

    def __init__(
        self,
        events: Sequence[OutputEvent],
        texts: Sequence[str | None],
        column: Callable[[str], Column | None],
        languages: Callable[[], Sequence[tuple[str, float] | None]],
    ) -> None:
        self.events = events
        self.texts = texts
        self.column = column
        self._languages = cache(languages)
        self._json: dict[int, tuple[bool, object]] = {}
        self._folded: dict[int, str] = {}

    def language(self, row: int) -> tuple[str, float] | None:
        """Language of one output, with its probability."""
        return self._languages()[row]

    def folded(self, row: int) -> str:
        """The output of a row without the difference of upper and lower case; it has a text."""
        found = self._folded.get(row)
        if found is None:
            found = self._folded[row] = (self.texts[row] or "").casefold()
        return found

    def json(self, row: int) -> tuple[bool, object]:
        """Whether the output of a row is one JSON value, alone or as the only code block, and that value."""
        found = self._json.get(row)
        if found is None:
            found = self._json[row] = _json_value(self.texts[row] or "")
        return found


def _json_value(text: str) -> tuple[bool, object]:
    from monitor.features.text.json_texts import parse_json

    text = text.strip()
    if text.startswith("```") and text.endswith("```") and len(text) >= 6:
        opening, newline, rest = text.partition("\n")
        if newline and opening[3:].strip().lower() in ("", "json"):
            text = rest[:-3].strip()
    try:
        return True, parse_json(text)
    except ValueError:
        return False, None


Compiled: TypeAlias = Callable[[Outputs, Sequence[int]], Sequence[Verdict]]
"""A check made ready: verdicts of the rows asked for, in their order."""


class Check(BaseModel, ABC):
    """Configuration of one check, as it stands under `check:`.

    Attributes
    ----------
    key
        The setting that chooses this check; each check has another one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: ClassVar[str]
    example: ClassVar[str]
    """The check as an operator writes it, in one line of YAML; for documentation and for the contract's tests."""

    @abstractmethod
    def compiled(self) -> Compiled:
        """The check made ready. Raises `ValueError` in an operator's words where the configuration cannot work."""

    @abstractmethod
    def violation(self) -> str:
        """What an output that violates the check does, as the end of the sentence "The output ..."."""

    def wrong_features(self, known: Mapping[str, FeatureSpec]) -> str | None:
        """What is wrong with the features that the check asks for, given those that are measured; None: nothing."""
        return None


def by_text(violates: Callable[[str], bool], *, ignore_case: bool = False) -> Compiled:
    """A check that needs nothing but the text, or the folded text: undecided where there is none."""

    def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
        texts, folded = outputs.texts, outputs.folded
        if ignore_case:
            return [None if texts[row] is None else violates(folded(row)) for row in rows]
        return [None if (text := texts[row]) is None else violates(text) for row in rows]

    return verdicts
