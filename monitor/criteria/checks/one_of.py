"""`one_of`: the output is one of a few texts, such as the labels of a classification."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from monitor.criteria.base import Check, Compiled, by_text

MAX_SHOWN = 5  # labels that a sentence names; the rest is counted


class OneOfCheck(Check):
    """The output, without the whitespace around it, must be one of the texts."""

    key: ClassVar[str] = "one_of"
    example: ClassVar[str] = "{one_of: [refund, exchange, question]}"

    one_of: tuple[str, ...] = Field(min_length=1, max_length=100_000, description="the texts that the output may be")
    ignore_case: bool = Field(False, description="whether upper and lower case are the same")

    def compiled(self) -> Compiled:
        """The check made ready."""
        allowed = {text.strip().casefold() if self.ignore_case else text.strip() for text in self.one_of}
        return by_text(lambda text: text.strip() not in allowed, ignore_case=self.ignore_case)

    def violation(self) -> str:
        """What an output that fails does."""
        more = len(self.one_of) - MAX_SHOWN
        return f"is none of {', '.join(self.one_of[:MAX_SHOWN])}" + (f" and {more:,} others" if more > 0 else "")
