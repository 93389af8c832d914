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

JUDGED_PREFIX = "output.judged."
"""Beginning of the name of the flag that says which judged outputs failed; it exists in derived streams only."""
JUDGED_STREAM = "~judged/"
"""Beginning of the name of the derived stream of a stream's judged outputs."""
ANCHOR_STREAM = "~anchor/"
"""Beginning of the name of the derived stream of a criterion's anchors."""
EVALUATOR_STREAM = "~evaluator/"
"""Beginning of the name of the stream that an evaluator's alerts carry; globs of `streams` match it as any other."""

CriterionName = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,63}", "a name of 1 to 64 small letters, digits and _, beginning with a letter")
]


class Sample(BaseModel):
    """Which outputs an evaluation model judges by a criterion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uniform: float = Field(0.02, gt=0, le=1, description="share of all outputs, drawn at random")
    risky: float | None = Field(
        None, gt=0, le=1, description="share of the outputs for which a failure flag is raised (refusal, failed check)"
    )


class People(BaseModel):
    """Which judged outputs people look at as well, so that they correct the evaluation model.

    Each share is above 0: of a verdict that nobody looks at, nobody could say how often it is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: float = Field(0.05, gt=0, le=1, description="share of the outputs that the evaluator passed")
    failed: float = Field(0.5, gt=0, le=1, description="share of the outputs that it failed")
    second_opinion: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of the outputs labelled by people that a second person labels as well, blind",
    )
    cost: float = Field(
        1.0,
        gt=0,
        le=1_000,
        description="cost of an error, beside that of other criteria: dearer ones are reviewed earlier",
    )


class Criterion(BaseModel):
    """What is expected of each output of a stream: decided by a program, or by an evaluation model on a sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: CriterionName = Field(description="the criterion's name, in features, alerts and reports")
    check: AnyCheck | None = Field(None, description="what a program checks on every output")
    passes: str | None = Field(
        None,
        alias="pass",
        min_length=1,
        max_length=4_000,
        description="what an output does that passes, in words, for an evaluation model and for people",
    )
    evaluator: str | None = Field(None, min_length=1, description="name of the evaluator that judges a sample")
    sample: Sample = Field(default_factory=Sample)
    share: LimitText | None = Field(
        None,
        description='a fixed limit for the share of outputs that violate the check, "< 2%", which alerts by itself',
    )
    window: WindowText | None = Field(
        None,
        description=f'outputs that the share is of: 30m, or the last "500 events"; null: {DEFAULT_WINDOW}',
    )
    anchors: str | None = Field(
        None,
        min_length=1,
        description="file of outputs that people labelled by this criterion, by its path from the working folder: JSON "
        "lines or CSV with `output`, `passed` and, if known, `input` and `prompt`; judged daily to watch the evaluator",
    )
    people: People | None = Field(
        None,
        description="which judged outputs go to the review queue; without it, none: the evaluator is not corrected",
    )
    anchors_per_day: int = Field(30, ge=1, le=10_000, description="anchors judged a day, in turn")

    @model_validator(mode="after")
    def _works(self) -> Criterion:
        if self.check is None and self.evaluator is None:
            raise MisplacedError("needs a `check`, or `pass` and an `evaluator`")
        if self.check is not None and self.evaluator is not None:
            raise MisplacedError("has a `check` and an `evaluator`: make two criteria of it", "evaluator")
        if self.evaluator is not None and self.passes is None:
            raise MisplacedError("says nothing under `pass`: what does an output do that passes?", "evaluator")
        if self.anchors is not None and self.evaluator is None:
            raise MisplacedError(
                "is for criteria with an `evaluator`: a check gives the same verdict every time", "anchors"
            )
        if self.people is not None and self.evaluator is None:
            raise MisplacedError("is for criteria with an `evaluator`, whose verdicts people correct", "people")
        if self.check is None:
            if self.share is not None:
                raise MisplacedError(
                    "needs a `check`: judged outputs are few, so their fall is found as drift", "share"
                )
            return self
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
    def judged(self) -> bool:
        """Whether an evaluation model decides."""
        return self.evaluator is not None

    @property
    def threshold(self) -> Threshold | None:
        """The fixed threshold that `share` asks for, if any. Raises `ValidationError` where it is wrong."""
        if self.share is None:
            return None
        window = DEFAULT_WINDOW if self.window is None else self.window
        return Threshold(name=self.name, feature=self.feature, share=self.share, window=window)

    @property
    def feature(self) -> str:
        """Name of the failure flag that says which outputs violate the check, or failed by the evaluator's verdict."""
        return (JUDGED_PREFIX if self.judged else PREFIX) + self.name


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
