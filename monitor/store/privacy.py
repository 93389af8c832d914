"""What of an event may be kept: by stream and field in full, masked, as a keyed hash, or not at all.

`monitor.store.kept_form` brings texts into these forms. Read with the settings, so it loads no numerical library. Pure.
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from monitor.config_values.secret_files import SecretText, secrets_from_files


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
