"""`language`: the output is written in one of the languages asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from monitor.criteria.base import Check, Compiled, Outputs, Verdict

FEWEST_BYTES = 20  # letters of a text in UTF-8 from which its language counts: "OK" and "Bon" are words of many;
# bytes, because a Chinese or Thai letter (3 bytes) says about as much as three Latin ones
SURE = 0.9  # probability from which the identified language counts; below it the check decides nothing
_LOOKED_AT = 200  # characters that may hold those letters: what has fewer among so many is no text in a language
_CODE = re.compile(r"[a-z]{2,3}")


class LanguageCheck(Check):
    """Languages by their ISO 639-1 codes. A text too short to tell decides nothing."""

    key: ClassVar[str] = "language"
    example: ClassVar[str] = "{language: [en, de]}"

    language: str | tuple[str, ...] = Field(description="code of the language, or several: en, de, ja ...")

    @field_validator("language")
    @classmethod
    def _codes(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        codes = (value,) if isinstance(value, str) else value
        if not codes or not all(_CODE.fullmatch(code) for code in codes):
            raise ValueError("must be codes of languages such as en or [en, de]; put no in quotes")
        return value

    def compiled(self) -> Compiled:
        """The check made ready."""
        wanted = {self.language} if isinstance(self.language, str) else set(self.language)

        def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
            found: list[Verdict] = []
            for row in rows:
                text = outputs.texts[row]
                language = outputs.language(row) if text and _is_long_enough(text) else None
                sure = language is not None and language[1] >= SURE
                found.append(language[0] not in wanted if language is not None and sure else None)
            return found

        return verdicts

    def violation(self) -> str:
        """What an output that fails does."""
        codes = (self.language,) if isinstance(self.language, str) else self.language
        return f"is not in {' or '.join(codes)}"


def _is_long_enough(text: str) -> bool:
    found = 0
    for letter in text[:_LOOKED_AT]:
        if letter.isalpha():
            found += 1 if letter < "\x80" else len(letter.encode("utf-8", "replace"))
            if found >= FEWEST_BYTES:  # after some five words, mostly
                return True
    return False
