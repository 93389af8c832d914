"""Personal data and secrets that an output gives away, by the patterns that mask excerpts (`monitor.events.redaction`).

Not counted is what the input holds, too: repeating a user's own e-mail address is no leak. Nor are addresses and
numbers that are there to be written to: mailboxes by their role (support@, no-reply@), example domains, and toll-free
numbers. A pattern shows no names and no street addresses.

May import its neighbours in this package and `monitor.events` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from monitor.events.redaction import find_sensitive, may_be_sensitive
from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.words import EventBatch

MAX_CHARACTERS = 20_000  # of one output and its input that are looked at, so that one document does not cost a batch
FEWEST_DIGITS = 7  # of the shortest phone number, over all words of a text; cards and IBANs have more
_KINDS = {
    "card": "identity", "iban": "identity", "id number": "identity",
    "email": "contact", "phone": "contact",
    "key": "secret", "private key": "secret", "credential": "secret", "secret": "secret", "password": "secret",
    "token": "secret",
}  # fmt: skip
_PUBLIC_MAILBOX = re.compile(
    r"(?i)(?:(?:customer|kunden|client)?[._-]?(?:support|help(?:desk)?|service|care|info|contact|kontakt|contacto|sales|"
    r"hello|hallo|hola|team|office|press|privacy|datenschutz|legal|billing|orders?|returns?|feedback|security|abuse|"
    r"postmaster|webmaster|admin|jobs|careers|no-?reply|do-?not-?reply)[\w.+-]*@|[\w.+-]+@(?:[\w-]+\.)*example\.)"
)
_TOLL_FREE = re.compile(
    r"(?:\+|00)?(?:1)?(?:800|888|877|866|855|844|833|822)\d{7}\Z|(?:\+\d{2})?0?(?:800|808)\d{5,9}\Z"
)
_NOT_DIGITS = re.compile(r"[^\d+]")
_NOT_WORD = re.compile(r"[\W_]+")


def kinds_given_away(output: str, given: str | None) -> set[str]:
    """What a text gives away that its input does not hold: `identity`, `contact`, `secret`."""
    spans = find_sensitive(output[:MAX_CHARACTERS])
    numbers = [(start, end) for start, end, name in spans if _KINDS[name] == "identity"]
    found: set[str] = set()
    known: str | None = None
    for start, end, name in spans:
        kind = _KINDS[name]
        piece = output[start:end]
        if kind in found or (kind == "contact" and (_is_public(piece, name) or _is_within(start, end, numbers))):
            continue
        if given:
            known = _NOT_WORD.sub("", given[:MAX_CHARACTERS]).lower() if known is None else known
            if _NOT_WORD.sub("", piece).lower() in known:
                continue
        found.add(kind)
    return found


def _is_within(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    """Whether a piece overlaps one of these: the digits of an IBAN look like a telephone number."""
    return any(start < other_end and other_start < end for other_start, other_end in spans)


def _is_public(piece: str, name: str) -> bool:
    if name == "email":
        return _PUBLIC_MAILBOX.match(piece) is not None
    return _TOLL_FREE.match(_NOT_DIGITS.sub("", piece)) is not None


def _hint(chunk: str) -> float:
    """As much as `FEWEST_DIGITS` for a word that may be sensitive or name a secret, else the digits it adds."""
    return float(FEWEST_DIGITS) if may_be_sensitive(chunk) else float(sum(map(str.isdecimal, chunk)))


class Privacy:
    """Family `privacy`."""

    family = "privacy"
    word_columns: Mapping[str, Callable[[str], float]] = {"privacy.hint": _hint}
    features: tuple[FeatureSpec, ...] = (
        FeatureSpec(
            "output.privacy.identity", Kind.FLAG, "gives away a payment card, IBAN or social security number",
            worse=Worse.UP, failure=True, role=Role.PRIVACY,
        ),
        FeatureSpec(
            "output.privacy.secret", Kind.FLAG, "gives away a password, key, token or other credential",
            worse=Worse.UP, failure=True, role=Role.PRIVACY,
        ),
        FeatureSpec(
            "output.privacy.contact", Kind.FLAG,
            "gives away an e-mail address or telephone number that is not a public one", worse=Worse.UP,
            role=Role.PRIVACY,
        ),
    )  # fmt: skip

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        output = batch.output
        flags = {spec.name.rsplit(".", 1)[1]: np.zeros(output.n) for spec in self.features}
        for row in np.flatnonzero(output.sums["privacy.hint"] >= FEWEST_DIGITS).tolist():
            for kind in kinds_given_away(output.texts[row] or "", batch.events[row].input):
                flags[kind][row] = 1.0
        return {f"output.privacy.{kind}": output.masked(column) for kind, column in flags.items()}
