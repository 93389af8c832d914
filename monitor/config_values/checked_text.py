"""Texts of a certain form in the settings, refused with a sentence in place of a regular expression.

May import nothing from this project.
"""

from __future__ import annotations

import re

from pydantic import AfterValidator


def matching(pattern: str, what: str) -> AfterValidator:
    """A check of a text field: the whole text matches `pattern`, else the mistake is "must be `what`"."""
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"must be {what}")
        return text

    return AfterValidator(check)
