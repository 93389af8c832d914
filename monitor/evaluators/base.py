"""What an evaluator is: it gets one output and one criterion, and answers with a verdict and its reason.

May import `monitor.evaluators.config` and below.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

LONGEST_RATIONALE = 1_000
"""Characters of a reason that are kept: some ten sentences, which a person reads at once."""
IDENTITY_BYTES = 8
"""64 bits: two of the few identities that an installation ever sees do not share one by chance."""


@dataclass(frozen=True, slots=True)
class Question:
    """One output and the criterion by which it is judged; the texts as they may be sent.

    `passes` completes the sentence "an output passes if it ..."; `input` and `prompt` are None where they are unknown
    or may not be sent.
    """

    criterion: str
    passes: str
    output: str
    input: str | None = None
    prompt: str | None = None

    def hash(self) -> str:
        """32 hexadecimal digits of the criterion's text and the texts: by which an answer is found again."""
        parts = (self.passes, self.output, self.input, self.prompt)
        said = "".join("-" if part is None else f"{len(part)}:{part}" for part in parts)
        return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an evaluator says.

    `score` is the probability that the output passes, or a score, in [0, 1], where it gives one. `model` and
    `fingerprint` are as the evaluator names itself: another one is another judge.
    """

    passed: bool
    score: float | None = None
    rationale: str = ""
    model: str = ""
    fingerprint: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Evaluator(Protocol):
    """Judges outputs. Called from one event loop; several calls of `judge` may run at the same time."""

    @property
    def name(self) -> str:
        """The name from the settings: label of metrics, and part of every judgment."""
        ...

    @property
    def asks(self) -> str:
        """How it is asked, as one text: kind, model, parameters, wording. What changes a verdict changes this text."""
        ...

    async def judge(self, question: Question) -> Answer:
        """One verdict.

        Raises `RetryableEvaluation` where asking again may help, `NoVerdict` where this output gets no verdict,
        `EvaluatorBlocked` where nothing does until an operator acts. Takes at most the evaluator's time-out. Nothing
        else is raised.
        """
        ...

    async def close(self) -> None:
        """Release connections. May be called twice; nothing is asked afterwards."""
        ...


def identity(asks: str, answer: Answer) -> str:
    """16 hexadecimal digits that say which judge spoke: how it was asked, and how it names itself.

    Verdicts with different identities are of different judges: they are calibrated separately and never cached for one
    another.
    """
    said = "\0".join((asks, answer.model, answer.fingerprint))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=IDENTITY_BYTES).hexdigest()
