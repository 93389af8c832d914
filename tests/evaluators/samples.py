"""Evaluators of each kind for the tests that all of them must pass."""

from __future__ import annotations

from typing import Any

import yaml

from monitor.evaluators.base import Evaluator
from monitor.evaluators.config import EvaluatorConfig, HttpEvaluatorConfig
from monitor.evaluators.registry import EVALUATORS, build_evaluator, kind_of

KEY = "sk-very-secret-4711"


def example_of(config: type[EvaluatorConfig], **changed: Any) -> EvaluatorConfig:
    """The configuration in its own example, with other values for some settings."""
    text = config.EXAMPLE.replace("${OQM_EVALUATOR_KEY}", KEY)
    return config.model_validate({"kind": kind_of(config), **yaml.safe_load(text), **changed})


def http_kinds() -> list[type[EvaluatorConfig]]:
    """Every kind that is asked over HTTP."""
    return [config for config in EVALUATORS if issubclass(config, HttpEvaluatorConfig)]


def at(config: type[EvaluatorConfig], url: str, **changed: Any) -> Evaluator:
    """An evaluator that asks at this URL."""
    return build_evaluator(example_of(config, url=url, api_key=KEY, **changed))
