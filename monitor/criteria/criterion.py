"""`Criterion`: one expectation of an output, by the name that every part of the product uses for it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.plain_errors import MisplacedError
from monitor.config_values.thresholds import DEFAULT_WINDOW, LimitText, Threshold, WindowText
from monitor.criteria.registry import AnyCheck

PREFIX = "output.check."
"""Beginning of the name of a check's feature; the criterion's name follows."""

CriterionName = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,63}", "a name of 1 to 64 small letters, digits and _, beginning with a letter")
]


class Criterion(BaseModel):
    """What is expected of each output of a stream, decided by a program."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: CriterionName = Field(description="the criterion's name, in features, alerts and reports")
    check: AnyCheck = Field(description="what a program checks on every output")
    share: LimitText | None = Field(
        None,
        description='a fixed limit for the share of outputs that violate the check, "< 2%", which alerts by itself',
    )
    window: WindowText | None = Field(
        None,
        description=f'outputs that the share is of: 30m, or the last "500 events"; null: {DEFAULT_WINDOW}',
    )

    @model_validator(mode="after")
    def _works(self) -> Criterion:
        try:
            self.check.compiled()
        except ValueError as error:
            raise MisplacedError(str(error), "check") from None
        if self.window is not None and self.share is None:
            raise MisplacedError("has no effect without share, the limit that holds over it", "window")
        try:
            _ = self.threshold
        except ValidationError as error:
            raise _at_its_key(error) from None
        return self

    @property
    def threshold(self) -> Threshold | None:
        """The fixed threshold that `share` asks for, if any. Raises `ValidationError` where it is wrong."""
        if self.share is None:
            return None
        window = DEFAULT_WINDOW if self.window is None else self.window
        return Threshold(name=self.name, feature=self.feature, share=self.share, window=window)

    @property
    def feature(self) -> str:
        """Name of the failure flag that says which outputs violate the check."""
        return PREFIX + self.name


def _at_its_key(error: ValidationError) -> MisplacedError:
    """The mistake of a threshold, at the key of the criterion that it was made of."""
    wrong = error.errors(include_url=False)[0].get("ctx", {}).get("error")
    at = wrong.at if isinstance(wrong, MisplacedError) else ("share",)
    return MisplacedError(str(wrong), *at)


def _with_different_names(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    names = [criterion.name for criterion in criteria]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise MisplacedError(f"two criteria have the name {name}", index, "name")
    return criteria


Criteria: TypeAlias = Annotated[tuple[Criterion, ...], Field(max_length=100), AfterValidator(_with_different_names)]
"""A pydantic field: criteria of one place, each with another name."""
