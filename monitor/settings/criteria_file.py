"""A file of criteria alone, for `oqm check` and `oqm replay --criteria`: what would hold for every stream.

    criteria:
      - {name: order_json, check: {json_schema: schemas/order.json}}

May import `monitor.settings.models` and below.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from monitor.criteria.criterion import Criteria, Criterion
from monitor.errors import ConfigError
from monitor.settings.loading import read_settings_text
from monitor.settings.models import Settings, StreamOverride
from monitor.settings.part import Part
from monitor.settings.yaml_loader import parse


class CriteriaFile(Part):
    """The file's content."""

    criteria: Criteria = Field((), description="what is expected of each output")


def load_criteria(path: Path, *, environ: Mapping[str, str] | None = None) -> tuple[Criterion, ...]:
    """The criteria in a file. Raises `ConfigError` with file, line and key of each mistake, or where it holds none."""
    text = read_settings_text(path)
    criteria = parse(CriteriaFile, text, name=str(path), environ=os.environ if environ is None else environ).criteria
    if not criteria:
        raise ConfigError(f"{path}: holds no criteria; begin it with `criteria:` and one entry for each")
    return criteria


def with_criteria(settings: Settings, criteria: Sequence[Criterion]) -> Settings:
    """The settings with these criteria for every stream, beside those that its overrides have."""
    everywhere = StreamOverride(match="*", criteria=tuple(criteria))
    return settings.model_copy(update={"streams": (*settings.streams, everywhere), "_merged": {}})
