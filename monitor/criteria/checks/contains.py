"""`contains` and `not_contains`: texts that must be, or must not be, in the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from monitor.criteria.base import Check, Compiled, by_text

Texts = str | Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, max_length=100)]
"""One text, or up to 100: each is looked for in each output, so their number bounds the time."""


class ContainsCheck(Check):
    """All of the texts must be in the output."""

    key: ClassVar[str] = "contains"
    example: ClassVar[str] = '{contains: ["Kind regards"]}'

    contains: Texts = Field(description="a text, or several, that the output must hold")
    ignore_case: bool = Field(False, description="whether upper and lower case are the same")

    def compiled(self) -> Compiled:
        """The check made ready."""
        found = _looked_for(self.contains, "contains", ignore_case=self.ignore_case)
        return by_text(lambda text: not all(found(text)), ignore_case=self.ignore_case)

    def violation(self) -> str:
        """What an output that fails does."""
        return f"does not contain {_listed(self.contains)}"


class NotContainsCheck(Check):
    """None of the texts may be in the output."""

    key: ClassVar[str] = "not_contains"
    example: ClassVar[str] = '{not_contains: ["lorem ipsum", "TODO"], ignore_case: true}'

    not_contains: Texts = Field(description="a text, or several, that the output must not hold")
    ignore_case: bool = Field(False, description="whether upper and lower case are the same")

    def compiled(self) -> Compiled:
        """The check made ready."""
        found = _looked_for(self.not_contains, "not_contains", ignore_case=self.ignore_case)
        return by_text(lambda text: any(found(text)), ignore_case=self.ignore_case)

    def violation(self) -> str:
        """What an output that fails does."""
        return f"contains {_listed(self.not_contains)}"


def _looked_for(texts: str | tuple[str, ...], setting: str, *, ignore_case: bool) -> Callable[[str], Iterator[bool]]:
    """A function that says, one after the other, which of the texts an output holds, folded where
    case is ignored.

    Raises `ValueError`, which names the setting, where one of the texts is empty.
    """
    several = (texts,) if isinstance(texts, str) else texts
    if not all(several):
        raise ValueError(f"{setting} must not be empty: an empty text is in every output")
    wanted = tuple(map(str.casefold, several)) if ignore_case else several
    return lambda output: (text in output for text in wanted)


def _listed(texts: str | tuple[str, ...]) -> str:
    return repr(texts) if isinstance(texts, str) else " or ".join(map(repr, texts))
