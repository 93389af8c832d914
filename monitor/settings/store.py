"""The section `store`: where the trace store is, how long it keeps outputs, and in which form."""

from __future__ import annotations

from pydantic import Field, model_validator

from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError
from monitor.settings.part import Part
from monitor.store.privacy import Keep, Privacy


class Store(Part):
    """The trace store: every output with what is known of it, for `oqm trace` and `oqm search`."""

    location: str = Field(
        "", description="a folder (SQLite, one machine) or postgresql://user:password@host/database; empty: no store"
    )
    retention: Duration = Field(
        30 * 86_400.0, ge=86_400, validate_default=True, description="how long outputs are kept, in whole days"
    )
    segment: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="attribute by whose values `oqm quality --segment` breaks estimates down: attributes.tenant",
    )
    privacy: Privacy = Field(default_factory=Privacy)

    @model_validator(mode="after")
    def _hashes_have_a_key(self) -> Store:
        for index, policy in enumerate(self.privacy.fields):
            if self.privacy.hash_key is None and Keep.HASH in policy.model_dump().values():
                raise MisplacedError("`hash` needs privacy.hash_key, or hash_key_file", "privacy", "fields", index)
        return self
