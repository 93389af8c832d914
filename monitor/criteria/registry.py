"""The table of checks. A new check is a module in `monitor.criteria.checks` and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import BeforeValidator, Discriminator, Tag

from monitor.config_values.plain_errors import did_you_mean
from monitor.criteria.base import Check
from monitor.criteria.checks.contains import ContainsCheck, NotContainsCheck
from monitor.criteria.checks.feature_bound import FeatureCheck
from monitor.criteria.checks.function import FunctionCheck
from monitor.criteria.checks.json_field import JsonFieldCheck
from monitor.criteria.checks.json_schema import JsonSchemaCheck
from monitor.criteria.checks.language import LanguageCheck
from monitor.criteria.checks.one_of import OneOfCheck
from monitor.criteria.checks.pattern import MatchesCheck, NotMatchesCheck

CHECKS: tuple[type[Check], ...] = (
    JsonSchemaCheck,
    JsonFieldCheck,
    FeatureCheck,
    MatchesCheck,
    NotMatchesCheck,
    ContainsCheck,
    NotContainsCheck,
    OneOfCheck,
    LanguageCheck,
    FunctionCheck,
)

BY_KEY = {check.key: check for check in CHECKS}
"""In the table's order: where a mapping holds two keys, the earlier check is meant (`json_field` with `one_of`)."""


def _class_name(value: Any) -> str | None:
    """The check that a mapping means, by the first key that chooses one."""
    if isinstance(value, Check):
        return type(value).__name__
    return next((check.__name__ for key, check in BY_KEY.items() if key in value), None)


def _means_a_check(value: Any) -> Any:
    if isinstance(value, Check):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping such as {FeatureCheck.example}")
    if _class_name(value) is None:
        wrong = next((str(key) for key in value), "")
        hint = did_you_mean(wrong, BY_KEY, otherwise="known are") if wrong else f", known are: {', '.join(BY_KEY)}"
        raise ValueError(f"names no check{hint}")
    return value


if TYPE_CHECKING:
    AnyCheck: TypeAlias = Check
else:
    AnyCheck = Annotated[
        Union[tuple(Annotated[check, Tag(check.__name__)] for check in CHECKS)],  # noqa: UP007
        Discriminator(_class_name),
        BeforeValidator(_means_a_check),
    ]
    """A pydantic field that holds any check of the table."""
