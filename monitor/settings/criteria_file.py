"""A file of criteria alone, for `oqm check` and `oqm replay --criteria`: what would hold for every stream.

    criteria:
      - {name: order_json, check: {json_schema: schemas/order.json}}

May import `monitor.settings.models` and below.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from monitor.config_values.thresholds import Thresholds
from monitor.criteria.criterion import Criteria
from monitor.errors import ConfigError
from monitor.settings.loading import read_settings_text
from monitor.settings.models import Settings, StreamOverride
from monitor.settings.part import Part
from monitor.settings.yaml_loader import parse


class CriteriaFile(Part):
    """The file's content."""

    criteria: Criteria = Field((), description="what is expected of each output")
    thresholds: Thresholds = Field((), description="fixed limits over a window, as in the settings; for oqm replay")


def load_criteria(path: Path, *, environ: Mapping[str, str] | None = None) -> CriteriaFile:
    """What a file holds. Raises `ConfigError` with file, line and key of each mistake, or where it holds nothing."""
    text = read_settings_text(path)
    found = parse(CriteriaFile, text, name=str(path), environ=os.environ if environ is None else environ)
    if not found.criteria and not found.thresholds:
        raise ConfigError(f"{path}: holds no criteria; begin it with `criteria:` and one entry for each")
    return found


def with_criteria(settings: Settings, file: CriteriaFile) -> Settings:
    """The settings with these criteria for every stream, beside those that its overrides have.

    The file's thresholds, where it has any, take the place of those of the settings.
    """
    given: dict[str, Any] = {"thresholds": file.thresholds} if file.thresholds else {}
    everywhere = StreamOverride(match="*", criteria=file.criteria, **given)
    return settings.model_copy(update={"streams": (*settings.streams, everywhere), "_merged": {}})
