"""What of an event may be kept: by stream and field in full, masked, as a keyed hash, or not at all.

Called by `monitor.store.records` for each event. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from monitor.config_values.secret_files import SecretText, secrets_from_files

HASH_BYTES = 16  # 128 bits: two different texts share a hash once in 10^19 even among a billion texts
MAX_DEPTH = 50  # levels of nesting in steps, attributes and bodies that are kept; msgspec itself refuses deeper JSON


class Keep(StrEnum):
    """In which form a text is kept."""

    FULL = "full"
    MASKED = "masked"  # secrets and personal data are replaced, the rest is exact
    HASH = "hash"  # a keyed hash: equal texts stay recognisable as equal, and nothing else
    NONE = "none"


class FieldPolicy(BaseModel):
    """How the fields of an event are kept that may hold what people wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str = Field("*", min_length=1, description="glob on the stream's name; of several that match, the last wins")
    input: Keep = Field(Keep.MASKED, description="what was asked")
    output: Keep = Field(Keep.MASKED, description="what was answered, and the error in its place")
    prompt: Keep = Field(Keep.MASKED, description="the prompt's text; its name, version and hash are always kept")
    steps: Keep = Field(Keep.MASKED, description="steps, calls to tools with their responses, the action")
    attributes: Keep = Field(Keep.MASKED, description="attributes and fields that the monitor does not know")


class Privacy(BaseModel):
    """The policies, in order, and the key of their hashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash_key: SecretText | None = Field(None, description="key of the hashes; needed where a field says `hash`")
    hash_key_file: str | None = Field(None, description="or a file that holds it")
    fields: tuple[FieldPolicy, ...] = Field((), description="policies by stream; without one every text is masked")

    _secrets = secrets_from_files("hash_key")

    @property
    def key(self) -> bytes:
        """Key of the hashes; empty where there is none."""
        return self.hash_key.get_secret_value().encode() if self.hash_key is not None else b""

    def policy(self, stream: str) -> FieldPolicy:
        """What holds for a stream."""
        return _policy(self.fields, stream)


@lru_cache(maxsize=4096)
def _policy(fields: tuple[FieldPolicy, ...], stream: str) -> FieldPolicy:
    found = [policy for policy in fields if fnmatchcase(stream, policy.match)]
    return found[-1] if found else FieldPolicy()


def kept(value: Any, keep: Keep, key: bytes) -> Any:
    """A text, or the texts in a list or mapping, in the form that may be kept; None where nothing may.

    Numbers, truth values and the names of fields stay as they are, but under `hash` and `none`, where nothing of the
    value stays.
    """
    if value is None or keep is Keep.FULL:
        return value
    if keep is Keep.NONE:
        return None
    if keep is Keep.HASH:
        return hashed(value if isinstance(value, str) else repr(value), key)
    return masked(value)


def masked(value: Any, depth: int = 0) -> Any:
    """The value with secrets and personal data in its texts replaced by `[masked ...]`."""
    from monitor.events.redaction import mask  # numpy, which reading settings does not need

    if isinstance(value, str):
        return mask(value)
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {mask(str(name)): masked(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item, depth + 1) for item in value]
    return value


def hashed(text: str, key: bytes) -> str:
    """`hash:` and 32 hexadecimal digits of HMAC-SHA256 under the key."""
    digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return f"{_HASH}{digest[:HASH_BYTES].hex()}"


def is_hashed(value: Any) -> bool:
    """Whether a stored value is what `hashed` made of one, in place of the value."""
    return isinstance(value, str) and _HASHED.fullmatch(value) is not None


_HASH = "hash:"
_HASHED = re.compile(rf"{_HASH}[0-9a-f]{{{2 * HASH_BYTES}}}")
