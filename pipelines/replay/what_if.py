"""What other settings would have raised: each candidate watches the same feature rows beside the settings in force.

Features are measured once, or come from the log `oqm.features`; only detection, which is cheap, runs once a candidate.
A candidate holds from the first event to the last: changes of settings that stand in the log are left out, decisions
about references are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import yaml
from pydantic import ValidationError

from monitor.config_values.plain_errors import first_sentence
from monitor.detection import DetectionSettings, Finding, PartitionMonitor, State, StreamMonitor
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.log_format import Tick
from monitor.detection.settings import VOLUME_FLOORS, parse_budget
from monitor.errors import ConfigError
from monitor.events.schema import OutputEvent
from monitor.features.base import FeatureSpec
from monitor.features.batch import FeatureBatch
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings, overlay
from pipelines.build import watched_features
from pipelines.feature_log.apply import LogRecord, apply, contents
from pipelines.replay.replay import measured

AS_CONFIGURED = "as configured"
BUDGETS = ("1 per 7d", "1 per 90d")
"""Budgets of the default grid, beside the one in force."""
SCALES = (0.5, 2.0)
"""All effect floors times this."""
WITHOUT = ("output.length.*", "output.tone.*", "output.embedding.*", "call.*")
"""Features that the default grid leaves out, one group at a time: what still fires does not hang on them."""


@dataclass(frozen=True)
class Candidate:
    """Settings to try: what a person calls them, and how they differ from those that a stream has."""

    name: str
    change: Callable[[DetectionSettings], dict[str, Any]]

    def settings(self, base: DetectionSettings) -> DetectionSettings:
        """The settings of a stream that has `base`. Raises `ConfigError` for values that make no sense."""
        try:
            return DetectionSettings.model_validate(overlay(base.model_dump(), self.change(base)))
        except ValidationError as error:
            raise ConfigError(f"--try {self.name}: {first_sentence(DetectionSettings, error)}") from None


def candidate(text: str) -> Candidate:
    """`"alert_budget=1 per 7d; floors.number=0.5"` as one candidate: keys of `detection`, several joined by `;`.

    Lists are separated by commas and take the place of what is configured. Raises `ConfigError` for what is no setting.
    """
    changes: dict[str, Any] = {}
    for part in text.split(";"):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ConfigError(f'--try {text}: must look like "alert_budget=1 per 7d" or "floors.number=0.5"')
        inner: Any = _value(key, value, text)
        for name in reversed(key.split(".")):
            inner = {name: inner}
        changes = overlay(changes, inner)
    made = Candidate(text, lambda _base: changes)
    made.settings(DetectionSettings())
    return made


def _value(key: str, value: str, text: str) -> Any:
    if value.startswith(("[", "{")):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--try {text}: {key}: {error}") from None
    default = DetectionSettings.model_fields.get(key)
    if default is not None and isinstance(default.default, tuple) and key != "alert_budget":
        return [item.strip() for item in value.split(",") if item.strip()]
    return None if value == "null" else value


def grid(base: DetectionSettings) -> list[Candidate]:
    """The default candidates: other budgets, all floors halved and doubled, and one group of features left out each."""
    made = [candidate(f"alert_budget={budget}") for budget in BUDGETS if parse_budget(budget) != base.alert_budget]
    made += [Candidate(f"all floors x {scale:g}", _scaled(scale)) for scale in SCALES]
    made += [Candidate(f"without {glob}", _without(glob)) for glob in WITHOUT]
    return made


def _scaled(scale: float) -> Callable[[DetectionSettings], dict[str, Any]]:
    def change(base: DetectionSettings) -> dict[str, Any]:
        floors = base.floors.model_dump()
        # A share that is lost: the rate's ratio is what is halved or doubled, on a log scale.
        least, most = VOLUME_FLOORS
        volume = min(max(1.0 - (1.0 - floors.pop("volume")) ** scale, least), most)
        return {
            "floors": {
                "volume": volume,
                **{
                    name: value * scale if name == "number" else min(1.0, value * scale)
                    for name, value in floors.items()
                },
            }
        }

    return change


def _without(glob: str) -> Callable[[DetectionSettings], dict[str, Any]]:
    return lambda base: {"exclude": (*base.exclude, glob)}


class FirstAlert(msgspec.Struct, frozen=True):
    """The first finding that fired: where it was raised, how long after the change began, and what it named first."""

    id: str
    kind: str
    title: str
    index: int
    time: float | None
    delay_events: int
    delay_s: float | None
    top_feature: str | None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one candidate would have raised on one stream.

    `expected_false_alarms` is what the budget allows on as many events as were judged; `mean_run_length` the events
    between two of them. `judged_from` is the index of the first event that was judged, None where none was. `unjudged`
    says why the stream could not be judged to its end; it is left out where it could.
    """

    stream: str
    candidate: str
    events: int
    fired: int
    resolved: int
    info: int
    first_alert: FirstAlert | None
    expected_false_alarms: float
    mean_run_length: float
    judged_from: int | None = None
    duplicates: int = 0
    unjudged: str = ""


class WhatIf:
    """Shows feature rows of one detect partition to every candidate at once.

    Parameters
    ----------
    settings
        Those in force; they are the first candidate, under the name `AS_CONFIGURED`.
    candidates
        The others. Raises `ConfigError` where one does not fit a stream's own settings, when that stream first comes.
    specs
        Declarations of the features that the rows carry.
    """

    def __init__(self, settings: Settings, candidates: Sequence[Candidate], specs: Sequence[FeatureSpec]) -> None:
        self._candidates = [Candidate(AS_CONFIGURED, lambda _base: {}), *candidates]
        specs = watched_features(settings, specs)
        self._monitors = [PartitionMonitor(_settings_of(settings, own), specs) for own in self._candidates]
        self._found: list[dict[str, list[Finding]]] = [{} for _ in self._candidates]

    def apply(self, content: FeatureBatch | Tick | Control, offset: int) -> None:
        """What stands at `offset` of the log takes effect for every candidate."""
        if isinstance(content, Control) and content.action is ControlAction.SETTINGS:
            return
        for monitor, found in zip(self._monitors, self._found, strict=True):
            _gather(found, apply(monitor, content, offset))

    def close(self) -> list[Outcome]:
        """Judge what still waits; the outcomes, stream by stream, in the order of the candidates."""
        for monitor, found in zip(self._monitors, self._found, strict=True):
            _gather(found, monitor.close())
        return [
            _outcome(stream, own.name, monitor, found.get(stream, []))
            for stream in self._monitors[0].streams
            for own, monitor, found in zip(self._candidates, self._monitors, self._found, strict=True)
            if stream in monitor
        ]


def _settings_of(settings: Settings, own: Candidate) -> Callable[[str], DetectionSettings]:
    return lambda stream: own.settings(settings.for_stream(stream).detection)


def _gather(found: dict[str, list[Finding]], findings: Iterable[Finding]) -> None:
    for finding in findings:
        found.setdefault(finding.stream, []).append(finding)


def _outcome(stream: str, name: str, monitor: PartitionMonitor, found: Sequence[Finding]) -> Outcome:
    watching = monitor.stream(stream)
    states = [finding.state for finding in found if not finding.is_update]
    first = next((finding for finding in found if finding.state is State.FIRING), None)
    judging = watching if isinstance(watching, StreamMonitor) else StreamMonitor(stream, watching.settings)
    asked = judging.mean_run_length()
    return Outcome(
        stream=stream,
        candidate=name,
        events=watching.events,
        fired=states.count(State.FIRING),
        resolved=states.count(State.RESOLVED),
        info=states.count(State.INFO),
        first_alert=None if first is None else _first_alert(first),
        expected_false_alarms=max(0, watching.events - watching.settings.warmup) / asked,
        mean_run_length=asked,
        judged_from=judging.judged_from,
        duplicates=judging.status().duplicates,
        unjudged="" if judging is watching else monitor.failed[stream].sentence,
    )


def _first_alert(finding: Finding) -> FirstAlert:
    raised, began = finding.raised_at, finding.began_at
    waited = None if raised.time is None or began.time is None else raised.time - began.time
    return FirstAlert(
        id=finding.id,
        kind=finding.kind.value,
        title=finding.title,
        index=raised.index,
        time=raised.time,
        delay_events=raised.index - began.index + 1,
        delay_s=waited,
        top_feature=finding.features[0].name if finding.features else None,
    )


def try_on_events(
    events: Iterable[OutputEvent],
    settings: Settings,
    candidates: Sequence[Candidate],
    featurizer: Featurizer,
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Outcomes over these events, which are measured once. `progress` is called with the number of events done."""
    trial = WhatIf(settings, candidates, featurizer.specs)
    offset = count()
    done = 0
    for parts in measured(events, settings, featurizer):
        for part in parts:
            trial.apply(part, next(offset))
            done += len(part) if isinstance(part, FeatureBatch) else 0
        if progress is not None:
            progress(done)
    return trial.close()


def try_on_log(
    log: Iterable[LogRecord],
    settings: Settings,
    candidates: Sequence[Candidate],
    specs: Sequence[FeatureSpec],
    stream: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """Outcomes over one detect partition of an existing log, of one stream where `stream` is given."""
    trial = WhatIf(settings, candidates, specs)
    done = 0
    for offset, content in contents(log, stream):
        trial.apply(content, offset)
        if isinstance(content, FeatureBatch):
            done += len(content)
            if progress is not None:
                progress(done)
    return trial.close()
