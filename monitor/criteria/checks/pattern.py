"""`matches` and `not_matches`: a regular expression is found in the output, or is not.

By RE2, which takes time linear in the output's length whatever the expression is; it has neither look-around nor
references back (https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from pydantic import Field

from monitor.criteria.base import Check, Compiled, by_text


class MatchesCheck(Check):
    """The expression must be found somewhere in the output."""

    key: ClassVar[str] = "matches"
    example: ClassVar[str] = '{matches: "^(Dear|Hello)", ignore_case: true}'

    matches: str = Field(min_length=1, description="regular expression (RE2) that must be found in the output")
    ignore_case: bool = Field(False, description="whether upper and lower case are the same")

    def compiled(self) -> Compiled:
        """The check made ready."""
        found = linear_pattern(self.matches, "matches", ignore_case=self.ignore_case)
        return by_text(lambda text: not found(text))

    def violation(self) -> str:
        """What an output that fails does."""
        return f"does not match {self.matches}"


class NotMatchesCheck(Check):
    """The expression must be found nowhere in the output."""

    key: ClassVar[str] = "not_matches"
    example: ClassVar[str] = '{not_matches: "guaranteed|promise", ignore_case: true}'

    not_matches: str = Field(min_length=1, description="regular expression (RE2) that must not be found in the output")
    ignore_case: bool = Field(False, description="whether upper and lower case are the same")

    def compiled(self) -> Compiled:
        """The check made ready."""
        return by_text(linear_pattern(self.not_matches, "not_matches", ignore_case=self.ignore_case))

    def violation(self) -> str:
        """What an output that fails does."""
        return f"matches {self.not_matches}"


def linear_pattern(pattern: str, setting: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Whether an expression is found in a text, in linear time.

    Raises `ValueError`, which names the setting, where RE2 does not take the expression.
    """
    import re2

    options = re2.Options()
    options.log_errors = False  # else RE2 writes to standard error by itself
    options.case_sensitive = not ignore_case
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(
            f"{setting} is no regular expression that RE2 takes: {why.decode() if isinstance(why, bytes) else why}"
        ) from None

    search = compiled.search

    def found(text: str) -> bool:
        # As bytes it takes half the time: of a text the library works out where the match is in characters. What UTF-8
        # cannot write, half of a surrogate pair, becomes a question mark.
        return search(text.encode("utf-8", "replace")) is not None

    return found
