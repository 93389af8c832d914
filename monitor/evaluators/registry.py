"""The table of evaluators: for each `kind` of `evaluators` in `monitor.yaml` its configuration.

A new kind is a module beside this one and one line in `EVALUATORS`; `config/monitor.yaml`, the reference page and the
contract tests are made from this table. A module holds the configuration and `make`, which builds the evaluator from
it; it loads its client or its model there, not when it is imported, as the settings import this table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeAlias, Union, get_args

from pydantic import Field

from monitor.evaluators.chat import ChatConfig
from monitor.evaluators.classifier import ClassifierConfig
from monitor.evaluators.config import EvaluatorConfig
from monitor.evaluators.decisions import DecisionsConfig

if TYPE_CHECKING:
    from monitor.evaluators.base import Evaluator

EVALUATORS: tuple[type[EvaluatorConfig], ...] = (
    ChatConfig,
    DecisionsConfig,
    ClassifierConfig,
)

if TYPE_CHECKING:
    AnyEvaluatorConfig: TypeAlias = EvaluatorConfig
else:
    AnyEvaluatorConfig = Union[EVALUATORS]  # noqa: UP007, made from the table
EvaluatorSettings = Annotated[AnyEvaluatorConfig, Field(discriminator="kind")]
"""The type of an entry of `evaluators`: which configuration it is depends on its `kind`."""


def kind_of(config: type[EvaluatorConfig]) -> str:
    """What `kind` is in `monitor.yaml`."""
    (name,) = get_args(config.model_fields["kind"].annotation)
    return str(name)


def build_evaluator(config: EvaluatorConfig) -> Evaluator:
    """The evaluator of a configuration. Opens no connection."""
    make: Callable[[EvaluatorConfig], Evaluator] = sys.modules[type(config).__module__].make
    return make(config)
