"""The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a Structured Field string, `"8e03978e"`.

What is done once is named by the action's key in the path; the header names one request, so that it can be sent again
after its answer was lost. May import `monitor.serve.problem`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.serve.problem import Problem

HEADER = "Idempotency-Key"
_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[A-Za-z0-9._:~+/=-]+")
MAX_CHARS = 256  # as of every name in the ledger


def attempt_of(headers: Mapping[str, str], in_body: str) -> str:
    """The id of this request: that of the header, or of the body; empty where there is none.

    A key without quotes is read too, as most clients in use send it. Raises `Problem` 400 for a header that is neither,
    422 where header and body differ.
    """
    given = headers.get(HEADER.lower())
    if given is None:
        return in_body
    found = _read(given.strip())
    if in_body and found != in_body:
        raise Problem(422, "idempotency-mismatch", f"The header {HEADER} and `attempt` name different requests.")
    return found


def _read(text: str) -> str:
    quoted = _STRING.fullmatch(text)
    found = re.sub(r'\\(["\\])', r"\1", quoted[1]) if quoted else text if _BARE.fullmatch(text) else ""
    if not 1 <= len(found) <= MAX_CHARS:
        detail = f'{HEADER} must be one string in quotes with 1 to {MAX_CHARS} characters of ASCII: "8e03978e-40d5".'
        raise Problem(400, "invalid-idempotency-key", detail)
    return found
