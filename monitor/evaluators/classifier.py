"""The kind `classifier`: the refusal model of this package, which runs in the worker and costs nothing.

It knows one criterion: whether an output answers in place of declining or moralising. A criterion that names it may say
so in other words, but nothing else is judged.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from monitor.errors import NoVerdict
from monitor.evaluators.base import Answer, Question
from monitor.evaluators.config import EvaluatorConfig
from monitor.events.schema import OutputEvent

REFUSES_FROM = 0.5
"""Score from which the model calls an output a refusal, as the feature `output.tone.refusal` does."""
VERSION = "refusal-1"
"""Names the model in judgments; another model gets another one."""
SCORE = "output.tone.refusal_score"


class ClassifierConfig(EvaluatorConfig):
    """A model of this package that runs in the worker: an output passes where it is no refusal."""

    EXAMPLE: ClassVar[str] = """\
name: refusals
model: refusal
"""

    kind: Literal["classifier"]
    model: Literal["refusal"] = "refusal"


class ClassifierEvaluator:
    """Judges by the refusal model. Loads it when it is made."""

    def __init__(self, config: ClassifierConfig) -> None:
        from monitor.features.registry import OFF, build_featurizer

        self._config = config
        self._featurizer = build_featurizer(("refusal",), OFF, excerpts=False)

    @property
    def name(self) -> str:
        """The name from the settings."""
        return self._config.name

    @property
    def asks(self) -> str:
        """The model alone: the criterion's words change nothing."""
        return f"classifier\0{VERSION}"

    async def judge(self, question: Question) -> Answer:
        """The refusal score of the output, turned round: 1 is an answer. Takes some milliseconds."""
        event = OutputEvent(stream="-", id="-", output=question.output)
        batch = self._featurizer.featurize([event], source="-")
        score = float(batch.values[0, batch.names.index(SCORE)])
        if math.isnan(score):
            raise NoVerdict("unreadable", "holds no answer that could be a refusal")
        return Answer(
            passed=score < REFUSES_FROM,
            score=1.0 - score,
            rationale=f"refusal score {score:.2f} (refuses from {REFUSES_FROM})",
            model=VERSION,
        )

    async def close(self) -> None:
        """Nothing to release."""


def make(config: ClassifierConfig) -> ClassifierEvaluator:
    """Called by the table of evaluators."""
    return ClassifierEvaluator(config)
