"""`feature`: a measured feature of the output or the call lies within bounds (`oqm features FILE` lists them)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from monitor.config_values.plain_errors import did_you_mean
from monitor.criteria.base import Check, Compiled, Outputs, Verdict

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec


class FeatureCheck(Check):
    """Numbers, counts and flags by `least` and `most`, categories by `one_of`. A missing value decides nothing."""

    key: ClassVar[str] = "feature"
    example: ClassVar[str] = "{feature: output.length.words, most: 120}"

    feature: str = Field(min_length=1, description="name of a feature")
    least: float | None = Field(None, description="the least value that it may have")
    most: float | None = Field(None, description="the greatest value that it may have")
    one_of: tuple[str, ...] | None = Field(None, min_length=1, description="of a category: the values it may have")

    @model_validator(mode="after")
    def _bounded(self) -> FeatureCheck:
        if self.least is None and self.most is None and self.one_of is None:
            raise ValueError("needs `least`, `most` or `one_of`")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("`least` must be at most `most`")
        return self

    def compiled(self) -> Compiled:
        """The check made ready."""
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        allowed = None if self.one_of is None else set(self.one_of)

        def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
            values = outputs.column(self.feature)
            if values is None:
                return [None] * len(rows)
            if allowed is not None:
                return [None if (value := values[row]) is None else value not in allowed for row in rows]
            numbers = [float(values[row]) for row in rows]  # type: ignore[arg-type]
            return [None if math.isnan(value) else not least <= value <= most for value in numbers]

        return verdicts

    def wrong_features(self, known: Mapping[str, FeatureSpec]) -> str | None:
        """A feature that nothing measures, or bounds that do not fit its kind."""
        from monitor.features.base import Kind

        spec = known.get(self.feature)
        if spec is None:
            return f"no feature has the name {self.feature}{did_you_mean(self.feature, known, otherwise='known are')}"
        if spec.kind is Kind.CATEGORY and self.one_of is None:
            return f"{self.feature} is a category: give the values it may have as `one_of`"
        if spec.kind is not Kind.CATEGORY and self.one_of is not None:
            return f"{self.feature} is a {spec.kind.value}: give `least` or `most` in place of `one_of`"
        return None

    def violation(self) -> str:
        """What an output that fails does."""
        parts = [f"below {self.least:g}"] if self.least is not None else []
        parts += [f"above {self.most:g}"] if self.most is not None else []
        parts += [f"none of {', '.join(self.one_of)}"] if self.one_of is not None else []
        return f"has {self.feature} {' or '.join(parts)}"
