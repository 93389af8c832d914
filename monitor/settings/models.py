"""Everything an operator can set, typed, with its default and its meaning: `config/monitor.yaml` read into `Settings`.

Each default stands beside its field; an empty file, or none, gives them all. The documented `config/monitor.yaml` is
written from these models (`python -m scripts.settings_example`). May not be imported by `monitor.sinks`,
`monitor.telemetry` or anything below them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from monitor.alerting.lifecycle.flapping import FlapDamping
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.links import LinkTemplates
from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError, did_you_mean, first_sentence
from monitor.criteria.criterion import Criteria, Criterion
from monitor.criteria.derived import anchored, feedback_of, judged_of
from monitor.detection.settings import DetectionSettings
from monitor.evaluators.registry import EvaluatorSettings
from monitor.settings.broker import Broker
from monitor.settings.cascades import Cascades
from monitor.settings.derived import feedback_detection, judged_detection
from monitor.settings.gate import Gate
from monitor.settings.judging import Judging
from monitor.settings.part import Part
from monitor.settings.serve import Serve
from monitor.settings.store import Store
from monitor.settings.topics import Topics
from monitor.settings.worker import Delivery, Metrics, Worker
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.registry import SinkSettings

_DERIVED = -1
"""Stands in a key of merged settings between the overrides of a derived stream's parent and its own."""
_FEEDBACK = -2
"""The same for a stream of users' feedback, which watches another feature."""


def _off(value: object) -> object:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


class Features(Part):
    """What featurize measures."""

    families: tuple[str, ...] = Field(
        ("*",), min_length=1, description="globs of the families to compute (length, format, tone, ...)"
    )
    embedding: Annotated[str, BeforeValidator(_off)] = Field(
        "static",
        min_length=1,
        description="static (shipped table), off, or a sentence-transformers model by name or folder (the extra)",
    )
    excerpts: bool = Field(
        True, description="whether alerts show masked excerpts of 160 characters of inputs and outputs"
    )


class Alerting(Part):
    """How findings become alerts."""

    owner: str = Field("", description="owner of the streams that have none in `streams`")
    route: str = Field("default", min_length=1, description="which sinks get a stream's alerts (sinks[].routes)")
    group_window: Duration = Field(
        1_800.0,
        gt=0,
        validate_default=True,
        description="alerts of one cause raised within this time, in several streams, are one incident",
    )
    flapping: FlapDamping = Field(default_factory=FlapDamping)


class StreamOverride(DetectionSettings):
    """Settings of the streams whose name matches a glob; every key of `detection` may stand here too."""

    match: str = Field(min_length=1, description="glob on the stream's name")
    owner: str | None = Field(None, description="owner of these streams")
    route: str | None = Field(None, min_length=1, description="which sinks get their alerts (sinks[].routes)")
    criteria: Criteria = Field(
        (), description="what is expected of each output; a later entry of the same name replaces it"
    )


class StreamSettings(Part):
    """What holds for one stream after all overrides."""

    stream: str
    owner: str
    route: str
    detection: DetectionSettings


class Settings(Part):
    """All settings."""

    broker: Broker = Field(default_factory=Broker)
    topics: Topics = Field(default_factory=Topics)
    features: Features = Field(default_factory=Features)
    detection: DetectionSettings = Field(default_factory=DetectionSettings)
    alerting: Alerting = Field(default_factory=Alerting)
    streams: tuple[StreamOverride, ...] = Field(
        (), description="overrides by pattern, in order: where several match a stream, the later one takes precedence"
    )
    maintenance: tuple[MaintenanceWindow, ...] = Field(
        (), description="times in which the alerts of some streams wait; an alert that resolves within is never sent"
    )
    sinks: tuple[SinkSettings, ...] = Field(
        (LogSinkConfig(type="log"),), description="where alerts go; each sink says which routes and severities it takes"
    )
    delivery: Delivery = Field(default_factory=Delivery)
    worker: Worker = Field(default_factory=Worker)
    store: Store = Field(default_factory=Store)
    evaluators: tuple[EvaluatorSettings, ...] = Field(
        (), description="evaluation models that judge a sample of the outputs by criteria (streams[].criteria)"
    )
    judging: Judging = Field(default_factory=Judging)
    gate: Gate = Field(default_factory=Gate)
    serve: Serve = Field(default_factory=Serve)
    cascades: Cascades = Field(default_factory=Cascades)
    metrics: Metrics = Field(default_factory=Metrics)
    links: LinkTemplates = Field(default_factory=LinkTemplates)

    # Streams with the same overrides share one object: a fleet has thousands of streams and a handful of settings.
    _merged: dict[tuple[int, ...], tuple[DetectionSettings, str, str]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        names = [sink.name for sink in self.sinks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            second = [index for index, name in enumerate(names) if name == twice[0]][1]
            what = f"two sinks have the same name: {', '.join(twice)}; give one of them another `name`"
            raise MisplacedError(what, "sinks", second)
        self._evaluators_exist()
        for index in range(len(self.streams)):
            try:
                self._merge((index,))
            except MisplacedError:
                raise
            except ValueError as error:
                raise MisplacedError(str(error), "streams", index) from None
        return self

    def _evaluators_exist(self) -> None:
        names = [evaluator.name for evaluator in self.evaluators]
        for index, name in enumerate(names):
            if name in names[:index]:
                what = f"two evaluators have the same name: {name}; give one of them another `name`"
                raise MisplacedError(what, "evaluators", index, "name")
        for index, override in enumerate(self.streams):
            for place, criterion in enumerate(override.criteria):
                if criterion.evaluator is not None and criterion.evaluator not in names:
                    what = f"no evaluator is called {criterion.evaluator}"
                    hint = did_you_mean(criterion.evaluator, names, otherwise="there are") if names else ""
                    none = "" if names else ": the section `evaluators` is empty"
                    raise MisplacedError(what + hint + none, "streams", index, "criteria", place, "evaluator")

    def for_stream(self, name: str) -> StreamSettings:
        """What holds for this stream: the defaults, then each matching override in the file's order.

        A derived stream (`monitor.criteria.derived`) has what holds for its parent, with detection as it fits verdicts;
        overrides whose pattern begins with `~` are for derived streams and come last.
        """
        if (judged := judged_of(name)) is not None:
            return self._derived(name, self._matching(judged.stream))
        if (said := feedback_of(name)) is not None:
            return self._derived(name, self._matching(said[0]), feedback_detection, _FEEDBACK)
        if (criterion := anchored(name)) is not None:
            return self._derived(name, self._declaring(criterion))
        matching = self._matching(name)
        if matching not in self._merged:
            self._merged[matching] = self._merge(matching)
        detection, owner, route = self._merged[matching]
        return StreamSettings.model_construct(stream=name, owner=owner, route=route, detection=detection)

    def _matching(self, name: str) -> tuple[int, ...]:
        return tuple(i for i, override in enumerate(self.streams) if fnmatchcase(name, override.match))

    def _declaring(self, criterion: str) -> tuple[int, ...]:
        """The first override that declares a criterion of this name, whose owner answers for its anchors."""
        return tuple(
            i for i, override in enumerate(self.streams) if any(one.name == criterion for one in override.criteria)
        )[:1]

    def _derived(
        self,
        name: str,
        parent: tuple[int, ...],
        derive: Callable[[DetectionSettings], DetectionSettings] = judged_detection,
        mark: int = _DERIVED,
    ) -> StreamSettings:
        own = tuple(i for i in self._matching(name) if self.streams[i].match.startswith("~"))
        key = (*parent, mark, *own)
        if key not in self._merged:
            detection, owner, route = self._merge(parent)
            self._merged[key] = self._overlaid(own, derive(detection), owner, route)
        detection, owner, route = self._merged[key]
        return StreamSettings.model_construct(stream=name, owner=owner, route=route, detection=detection)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All criteria of the file, in its order."""
        return tuple(criterion for override in self.streams for criterion in override.criteria)

    @property
    def checks(self) -> tuple[Criterion, ...]:
        """The criteria that a program checks on every output."""
        return tuple(criterion for criterion in self.criteria if criterion.check is not None)

    @property
    def judged(self) -> tuple[Criterion, ...]:
        """The criteria that an evaluation model judges on a sample."""
        return tuple(criterion for criterion in self.criteria if criterion.judged)

    def criteria_of(self, name: str) -> tuple[Criterion, ...]:
        """The criteria of a stream: those of each matching override; of several with one name, the last.

        A derived stream has none: its events are verdicts or votes, and no outputs that could be judged.
        """
        if any(derived(name) is not None for derived in (judged_of, anchored, feedback_of)):
            return ()
        return self._criteria(
            i for i, each in enumerate(self.streams) if each.criteria and fnmatchcase(name, each.match)
        )

    def _criteria(self, matching: Iterable[int]) -> tuple[Criterion, ...]:
        found: dict[str, Criterion] = {}
        for index in matching:
            found.update((criterion.name, criterion) for criterion in self.streams[index].criteria)
        return tuple(found.values())

    def merged(self, index: int) -> tuple[DetectionSettings, str, str]:
        """Detection settings, owner and route of a stream that only the override at `index` matches."""
        return self._merge((index,))

    def _merge(self, matching: Sequence[int]) -> tuple[DetectionSettings, str, str]:
        return self._overlaid(matching, self.detection, self.alerting.owner, self.alerting.route)

    def _overlaid(
        self, matching: Sequence[int], base: DetectionSettings, owner: str, route: str
    ) -> tuple[DetectionSettings, str, str]:
        """These overrides, in order, on top of what is given."""
        if not matching:
            return base, owner, route
        data = base.model_dump()
        for index in matching:
            override = self.streams[index]
            owner = override.owner if override.owner is not None else owner
            route = override.route if override.route is not None else route
            given = override.model_dump(exclude_unset=True, exclude={"match", "owner", "route", "criteria"})
            data = overlay(data, given)
        thresholds = _with_those_of_criteria(data["thresholds"], self._criteria(matching))
        data["thresholds"] = thresholds
        try:
            return DetectionSettings.model_validate(data), owner, route
        except ValidationError as error:
            patterns = ", ".join(self.streams[index].match for index in matching)
            what = f"streams {patterns}: together with detection, {first_sentence(DetectionSettings, error)}"
            raise ValueError(what) from None


def _with_those_of_criteria(thresholds: Sequence[Any], criteria: Sequence[Criterion]) -> list[Any]:
    """The thresholds of a stream, and those that its criteria ask for with `share`; of one name, the former."""
    written = {each["name"] for each in thresholds}
    asked = (each.threshold for each in criteria if each.name not in written)
    return [*thresholds, *(threshold for threshold in asked if threshold is not None)]


def overlay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`: mappings are merged key by key, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
