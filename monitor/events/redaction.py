"""Excerpts for people on call: the first characters of a text, with secrets and personal data masked.

What is masked: private keys, API keys and tokens by their issuers' prefixes, JSON web tokens, bearer and basic
credentials, passwords and the like by the word before them, credentials in URLs, long random strings, e-mail
addresses, phone numbers, payment cards (Luhn and issuer range), IBANs (check digits), US social security numbers. It
is a net, not a proof: what has no recognisable form (a name, a street) passes, which is why excerpts can be turned off.

Only the piece that may appear is looked at, with a margin so that a secret that the limit would cut is still seen. Each
expression runs only where a cheap test says that it might find something; for a batch of texts, one pass over the bytes
of all of them says which ones need those tests at all. May import `monitor.events.excerpt_size` only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.events.excerpt_size import EXCERPT_CHARS

SHORT = 40  # characters of a text that may come again; a longer one is seldom the same twice
_REMEMBERED = 8192  # short texts: names of fields, tools and dependencies, and their usual values; a megabyte
_MARGIN_OF_AN_END = 512  # a JSON web token, the longest secret that is one word, has about as many characters
_MARGIN = 96  # more than any of the forms below needs to be recognised by its beginning

# Beginnings of keys and tokens as their issuers document them.
_PREFIXES = (
    "sk-", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "whsec_",  # OpenAI, Anthropic, Stripe
    "AKIA", "ASIA",  # AWS access key ids
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",  # GitHub, GitLab
    "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-",  # Slack
    "AIza", "ya29.",  # Google
    "hf_", "npm_", "pypi-", "dop_v1_", "SG.", "shpat_", "gsk_", "r8_", "xai-", "eyJ",  # ..., JSON web tokens
)  # fmt: skip
# A digit is looked for within 80 characters, more than any prefix has: a text of prefixes takes no quadratic time.
_PREFIXED = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:sk-|sk_live_|sk_test_|rk_live_|rk_test_|pk_live_|whsec_|github_pat_|glpat-|xox[abprs]-|xapp-|hf_|npm_|pypi-"
    r"|dop_v1_|shpat_|gsk_|r8_|xai-)(?=[A-Za-z_-]{0,80}[0-9])[A-Za-z0-9_\-]{12,}"
    r"|A[KS]IA[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|AIza[0-9A-Za-z_\-]{20,}|ya29\.[0-9A-Za-z_\-]{16,}"
    r"|SG\.[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?"
    r"|eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*){0,2})"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:.*?-----END [A-Z0-9 ]{0,30}KEY(?: BLOCK)?-----|.*)",
    re.DOTALL,
)
_CREDENTIAL = re.compile(r"(?i)(?<![a-z])(?P<scheme>bearer|basic)\s+(?P<secret>[A-Za-z0-9+/_.\-]{12,}=*)")
_URL_PASSWORD = re.compile(r"://[^\s/:@]{1,64}:(?P<secret>[^\s/@]{1,64})@")
_NAMED_HINTS = (
    "passw",
    "passp",
    "passc",
    "passe",
    "pwd",
    "secret",
    "token",
    "kennwort",
    "contrase",
    "senha",
)
_NAMED_KEYS = ("api", "access", "private", "auth")  # words before `key`; keyboards and keynotes have none
_KEY_ALONE = re.compile(r"key(?![a-z])")
_PIN = re.compile(r"pin(?<![a-z]pin)")  # the word behind which `_NAMED` looks; shipping and opinions hold it inside
# Runs on the text in lower case: half the cost of ignoring case.
_NAMED = re.compile(
    r"(?:pass(?:word|wort|phrase|code|wd)|pwd|kennwort|contrase[nñ]a|senha|mot de passe"
    r"|secret(?:[_ -]?(?:access[_ -]?)?key)?|(?:api|access|private|auth)[_ -]?key|token|(?<![a-z])pin(?:[_ -]?code)?)"
    r"[\"']?\s{0,3}(?P<sign>=>|[=:]|\bis\b|\bist\b|\bes\b)\s{0,3}(?P<quote>[\"'`]?)(?P<secret>[^\s\"'`,;&<>]{3,})"
)
# Without the slash of base64: with it, addresses and chess positions look random.
_LONG_RANDOM = re.compile(r"(?<![A-Za-z0-9+_\-])[A-Za-z0-9+_\-]{32,}={0,2}")
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9.!#$%&'*+/=?^_`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}"
)
# Every card, social security and phone number lies within a run of these characters.
_DIGIT_RUN = re.compile(r"[+(0-9][0-9 ().+\-/]{5,}[0-9]")
_CARD = re.compile(r"(?<![0-9.\-])[2-6][0-9]{3}(?:[ \-]?[0-9]){8,15}(?![0-9])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_SOCIAL_SECURITY = re.compile(r"(?<![0-9\-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9\-])")
_PHONE = re.compile(
    r"(?<![\w.\-/])(?:"
    r"(?:\+|00)[1-9](?:[ .\-/]{0,2}\(?[0-9]\)?){6,14}"  # international
    r"|(?:1[ .\-])?(?:\([0-9]{3}\) ?|[0-9]{3}[ .\-])[0-9]{3}[ .\-][0-9]{4}"  # North America
    r"|\(?0[1-9][0-9]{1,4}\)?[ /\-]{1,3}[0-9]{2,4}(?:[ \-]?[0-9]{2,4}){1,4}"  # a trunk 0, then groups
    r"|0[1-9](?:[ .][0-9]{2}){4}"  # France
    r"|0[1-9][0-9]{8,9}"  # a trunk 0, in one piece
    r")(?![\w\-/]|\.[0-9])"
)
_PHONE_HINTS = ("phone", "tel", "mobil", "cell", "call", "whatsapp", "fax", "sms", "handy")
_PHONE_BY_NAME = re.compile(
    r"(?<![a-z])(?:phone|tel(?:efon|ephone)?|mobile|mobil|cell|call(?: me)?(?: at| on)?|whatsapp|fax|sms|handy)"
    r"(?: number| no)?\.?\s{0,2}(?:is|:|=)?\s{0,2}(?P<secret>\+?[0-9](?:[ .\-/()]{0,2}[0-9]){6,14})(?![0-9])"
)


def excerpt(text: str | None, limit: int = EXCERPT_CHARS, mask: bool = True) -> str:
    """The first `limit` characters of a text, secrets and personal data replaced by `[masked ...]`.

    Never longer than `limit`. None gives the empty text. Half surrogate pairs become a question mark, so that the
    excerpt can be encoded. Linear in `limit`, whatever the length of the text.
    """
    piece = _piece(text, limit)
    return _masked(piece, limit) if mask else piece[:limit]


def excerpts(texts: Sequence[str | None]) -> list[str]:
    """`excerpt` of each of n texts, at half the cost."""
    pieces = [_piece(text, EXCERPT_CHARS) for text in texts]
    found = [piece[:EXCERPT_CHARS] for piece in pieces]
    for row in np.flatnonzero(_suspects(pieces)).tolist():
        found[row] = _masked(pieces[row], EXCERPT_CHARS)
    return found


def last_characters(texts: Sequence[str | None], after: int, count: int) -> list[str]:
    """Of each text at most its last `count` characters, masked as an excerpt is; none of its first `after`.

    A secret that begins before them is seen if it begins within `_MARGIN_OF_AN_END`, a private key wherever it begins.
    """
    pieces = [_end(text, after, count) for text in texts]
    found = [piece[-count:] for piece, _ in pieces]
    for row in np.flatnonzero(_suspects([piece for piece, _ in pieces])).tolist():
        found[row] = mask(pieces[row][0])[-count:]
    return [shown[-least:] if least else "" for shown, (_, least) in zip(found, pieces, strict=True)]


def _end(text: str | None, after: int, count: int) -> tuple[str, int]:
    """The end of a text with what stands before it, and how many of its characters may be shown."""
    least = 0 if text is None else min(count, len(text) - after)
    if text is None or least <= 0:
        return "", 0
    start = max(0, len(text) - count - _MARGIN_OF_AN_END)
    begun = text.find("-----BEGIN", 0, start)
    piece = text[begun if begun >= 0 else start :]
    return (piece if piece.isascii() else piece.encode("utf-8", "replace").decode()), least


def _piece(text: str | None, limit: int) -> str:
    if not text or limit <= 0:
        return ""
    piece = text[: limit + _MARGIN]
    return piece if piece.isascii() else piece.encode("utf-8", "replace").decode()


def mask(text: str) -> str:
    """A whole text with secrets and personal data replaced by `[masked ...]`, the rest exact; it may get longer."""
    return "".join(_parts(text, len(text)))


def mask_each(texts: Sequence[str]) -> list[str]:
    """`mask` of each of n texts, at a third of the cost where most have nothing to mask."""
    pieces = [text if text.isascii() else text.encode("utf-8", "replace").decode() for text in texts]
    found = list(pieces)
    for row in np.flatnonzero(_suspects(pieces)).tolist():
        found[row] = mask(pieces[row])
    return found


@lru_cache(maxsize=_REMEMBERED)
def mask_short(text: str) -> str:
    """`mask`, for names and words that come again with every event."""
    return mask(text)


def is_named_secret(name: str, value: str) -> bool:
    """Whether the name of a field says that its value is a secret: `password`, `pin`, `api_key`."""
    if not _names_a_secret(name):
        return False
    before = f"{name}="
    return any(kind == "secret" and start >= len(before) for start, _, kind in find_sensitive(before + value))


@lru_cache(maxsize=_REMEMBERED)
def _names_a_secret(name: str) -> bool:
    return _may_name_a_secret(name.lower())


def _masked(piece: str, limit: int) -> str:
    # Text beyond the limit stays out even where masks have made room: its own secrets may be cut by the margin.
    return "".join(_parts(piece, limit))[:limit]


def _parts(piece: str, limit: int) -> list[str]:
    """The piece up to `limit`, with masks in place of what is sensitive."""
    spans = find_sensitive(piece)
    if not spans:
        return [piece[:limit]]
    spans.sort()
    parts: list[str] = []
    position = 0
    for start, end, kind in spans:
        if start >= limit:
            break
        if start >= position:
            parts.append(piece[position:start])
            parts.append(f"[masked {kind}]")
        position = max(position, end)
    parts.append(piece[position:limit])
    return parts


# Three letters in lower case of which one set stands in whatever `find_sensitive` finds by a word or prefix; rare ones
# where there is a choice. A test holds the two together.
_TRACES = (
    b"---",  # private keys
    *(prefix[:3].lower().encode() for prefix in _PREFIXES if prefix not in ("AKIA", "github_pat_")), b"kia", b"_pa",
    b"rer", b"asi",  # bearer, basic
    b"ssw", b"ssp", b"ssc", b"mot", b"pwd", b"ecr", b"oke", b"key", b"nnw", b"ras", b"nha", b"pin",  # names of secrets
)  # fmt: skip
# 2^32 by the golden ratio: multiplicative hashing (Knuth, TAOCP 3, 6.4) of three bytes to 16 bits.
_SPREAD, _TO_SIXTEEN_BITS, _THREE_BYTES = np.uint32(2_654_435_769), np.uint32(16), np.uint32(0xFFFFFF)


def _sixteen_bits(three: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A hash of the lowest three bytes."""
    spread: NDArray[np.uint32] = (three & _THREE_BYTES) * _SPREAD
    spread >>= _TO_SIXTEEN_BITS
    return spread


_TRACED = np.zeros(1 << 16, dtype=np.bool_)  # one place for each value of `_sixteen_bits`
_TRACED[_sixteen_bits(np.array([int.from_bytes(trace, "little") for trace in _TRACES], dtype=np.uint32))] = True
_OF_NUMBERS = np.zeros(256, dtype=np.bool_)  # one place for each value of a byte
_OF_NUMBERS[list(b"0123456789 ().+-/")] = True
_LEAST_NUMBER = 7  # characters: the shortest telephone numbers
_LEAST_RANDOM = 32  # characters: 128 bits in hexadecimal
_LEAST_PREFIXED = 12  # characters of a key with a known prefix, such as `sk-`: providers' are longer


def _suspects(pieces: Sequence[str]) -> NDArray[np.bool_]:
    """In which of n pieces `find_sensitive` could find anything; a few too many, never one too few."""
    encoded = [piece.encode() if piece.isascii() else piece.lower().encode() for piece in pieces]
    data = b"\n".join([b"", *encoded, b"\n" * 4]).lower()
    ends = np.cumsum([1, *(len(piece) + 1 for piece in encoded)])
    content = np.frombuffer(data, dtype=np.uint8)
    windows: NDArray[np.uint32] = np.ndarray((len(data) - 3,), dtype="<u4", buffer=data, strides=(1,))
    places = [
        np.flatnonzero(_TRACED[_sixteen_bits(windows)]),
        np.flatnonzero(content == ord("@")),
        _long_runs(content > ord(" "), _LEAST_RANDOM)[0],
    ]
    starts, stops = _long_runs(_OF_NUMBERS[content], _LEAST_NUMBER)
    digits = np.flatnonzero(content - np.uint8(ord("0")) <= 9)
    places.append(starts[np.searchsorted(digits, stops) > np.searchsorted(digits, starts)])
    suspects = np.zeros(len(pieces) + 1, dtype=np.bool_)
    suspects[np.searchsorted(ends, np.concatenate(places), side="right") - 1] = True
    return suspects[:-1]


def _long_runs(inside: NDArray[np.bool_], least: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Starts and stops of the runs of at least this number of bytes; the first byte and the last are outside."""
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, stops = edges[0::2], edges[1::2]
    long = stops - starts >= least
    return starts[long], stops[long]


def find_sensitive(text: str) -> list[tuple[int, int, str]]:
    """Spans (start, end, kind) of what must not be shown, unsorted, possibly overlapping."""
    spans: list[tuple[int, int, str]] = []
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters become two; positions must stay those of the text
        lowered = "".join(char.lower() if char.isascii() else char for char in text)
    if "-----begin" in lowered:
        spans += [(*found.span(), "private key") for found in _PRIVATE_KEY.finditer(text)]
    longest = max(map(len, text.split()), default=0)
    if longest >= _LEAST_PREFIXED and any(map(text.__contains__, _PREFIXES)):
        spans += [(*found.span(), "key") for found in _PREFIXED.finditer(text)]
    if longest >= 12 and ("bearer" in lowered or "basic" in lowered):
        spans += [
            (*found.span("secret"), "credential") for found in _CREDENTIAL.finditer(text) if _is_mixed(found["secret"])
        ]
    if _may_name_a_secret(lowered):
        spans += [(*found.span("secret"), "secret") for found in _NAMED.finditer(lowered) if _is_secret(found, text)]
    if "@" in text:
        spans += [(*found.span(), "email") for found in _EMAIL.finditer(text)]
        if "://" in text:
            spans += [(*found.span("secret"), "password") for found in _URL_PASSWORD.finditer(text)]
    if longest >= 32:
        spans += [(*found.span(), "token") for found in _LONG_RANDOM.finditer(text) if _is_random(found[0])]
    numbers = False
    for run in _DIGIT_RUN.finditer(text):
        numbers = True
        area = run.start(), run.end() + 2  # with what the expressions look ahead for
        spans += [(*found.span(), "card") for found in _CARD.finditer(text, *area) if _is_card(found[0])]
        spans += [(*found.span(), "id number") for found in _SOCIAL_SECURITY.finditer(text, *area)]
        spans += [(*found.span(), "phone") for found in _PHONE.finditer(text, *area)]
    if numbers:
        if any(map(lowered.__contains__, _PHONE_HINTS)):
            spans += [(*found.span("secret"), "phone") for found in _PHONE_BY_NAME.finditer(lowered)]
        spans += [(*found.span(), "iban") for found in _IBAN.finditer(text) if _is_iban(found[0])]
    return spans


def may_be_sensitive(word: str) -> bool:
    """Whether `find_sensitive` could find anything by this word of a text, numbers aside.

    Whatever it finds in a text, numbers aside, holds or follows such a word. For callers that look at distinct words
    once; a few too many, never one too few.
    """
    lowered = word.lower()
    return (
        len(word) >= _LEAST_RANDOM
        or "@" in word
        or "-----" in word
        or any(map(lowered.__contains__, ("bearer", "basic", "passe")))
        or _KEY_ALONE.search(lowered) is not None
        or (len(word) >= _LEAST_PREFIXED and any(map(word.__contains__, _PREFIXES)))
        or _may_name_a_secret(lowered)
    )


def _may_name_a_secret(lowered: str) -> bool:
    """Whether `_NAMED` could find anything in a text in lower case."""
    if any(map(lowered.__contains__, _NAMED_HINTS)):
        return True
    if "key" in lowered and any(map(lowered.__contains__, _NAMED_KEYS)):
        return True
    return "pin" in lowered and _PIN.search(lowered) is not None


def _is_secret(found: re.Match[str], text: str) -> bool:
    """Whether what follows `password:` is one, rather than the next word of a sentence."""
    secret = text[slice(*found.span("secret"))]
    if found["quote"] or found["sign"] in ("=", "=>"):
        return True
    if any(not char.isalpha() for char in secret.rstrip(".!?)")):
        return True
    if found["sign"] == ":":
        # A bare word after a colon: a password where the line ends with it, prose where it goes on.
        rest = text[found.end() :]
        return not rest.strip(" .!?)") or rest.lstrip(" .!?)")[:1] == "\n"
    return False


def _is_mixed(word: str) -> bool:
    """Whether a word has more in it than words of prose: digits, padding, capitals inside."""
    return any(char.isdigit() or char == "=" for char in word) or not word[1:].islower()


def _is_random(word: str) -> bool:
    digits = sum(char.isdigit() for char in word)
    return digits >= 3 and any(char.islower() for char in word) and any(char.isupper() for char in word)


def _is_card(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    odd = sum(digits[-1::-2])
    even = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: letters as numbers from 10, the first four characters moved to the end, remainder 1 modulo 97."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1
