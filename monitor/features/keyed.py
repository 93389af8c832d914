"""Columns with a key: one for each key of a stream's JSON outputs, for each tool, for each attribute of its users.

Which keys there are is known only from the events, so a family declares a template (`output.json.value`) and reports
of each event what it has by name (`output.json.value[priority]`). Detection chooses a few columns of these from the
rows of a stream's warm-up (`monitor.detection.columns.keyed_columns`). What is known of single dependencies has the
same form of name and a transport made before this one (`monitor.features.families.dependencies`).

Pure. May import `monitor.features.base` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import msgspec

from monitor.features.base import FeatureSpec

if TYPE_CHECKING:
    from monitor.features.text.words import EventBatch

Keyed: TypeAlias = Mapping[str, float | str]
"""What one event says under names with a key: numbers and flags as floats, categories as strings."""
NO_KEYED: Keyed = {}

MAX_KEY_CHARACTERS = 64  # as of a dependency's name: a key is shown in titles and tables
MAX_KEYED_IN_EVENT = 96  # columns of one event that travel; a wide JSON record must not multiply what a row weighs


@runtime_checkable
class KeyedExtractor(Protocol):
    """A family that, besides its declared features, reports columns with keys.

    `templates` are declarations whose name lacks the key and whose meaning holds `{key}` in its place. `keyed` is
    called once per micro-batch and gives one mapping per event, names by `with_key`; it may raise, as `extract` may.
    """

    @property
    def templates(self) -> tuple[FeatureSpec, ...]:
        """Declarations without their keys."""
        ...

    def keyed(self, batch: EventBatch) -> Sequence[Keyed]:
        """What each of n events says, in the batch's order."""
        ...


@lru_cache(maxsize=8192)
def with_key(feature: str, key: str) -> str:
    """The name of a column: `output.json.value[priority]`. A key is cut at `MAX_KEY_CHARACTERS`."""
    return f"{feature}[{key[:MAX_KEY_CHARACTERS]}]"


def has_key(name: str) -> bool:
    """Whether a name is that of a column with a key."""
    return name.endswith("]") and "[" in name


def split_key(name: str) -> tuple[str, str]:
    """Feature and key of a name for which `has_key` holds."""
    feature, _, key = name[:-1].partition("[")
    return feature, key


def spec_with_key(template: FeatureSpec, key: str) -> FeatureSpec:
    """A template's declaration for one key."""
    return msgspec.structs.replace(
        template, name=with_key(template.name, key), meaning=template.meaning.replace("{key}", key)
    )
