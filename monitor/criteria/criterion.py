"""`Criterion`: one expectation of an output, by the name that every part of the product uses for it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from monitor.config_values.checked_text import matching
from monitor.config_values.plain_errors import MisplacedError
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

    @model_validator(mode="after")
    def _works(self) -> Criterion:
        try:
            self.check.compiled()
        except ValueError as error:
            raise MisplacedError(str(error), "check") from None
        return self

    @property
    def feature(self) -> str:
        """Name of the failure flag that says which outputs violate the check."""
        return PREFIX + self.name


def _with_different_names(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    names = [criterion.name for criterion in criteria]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise MisplacedError(f"two criteria have the name {name}", index, "name")
    return criteria


Criteria: TypeAlias = Annotated[tuple[Criterion, ...], Field(max_length=100), AfterValidator(_with_different_names)]
"""A pydantic field: criteria of one place, each with another name."""
