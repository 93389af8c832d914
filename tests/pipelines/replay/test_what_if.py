from __future__ import annotations

import pytest

from monitor.detection import DetectionSettings, State
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.log_format import Tick, encode, encode_control, encode_tick
from monitor.errors import ConfigError
from monitor.features.featurizer import Featurizer
from monitor.settings import Settings
from pipelines.build import featurizer_for
from pipelines.replay.replay import measured, replay
from pipelines.replay.what_if import AS_CONFIGURED, Candidate, Outcome, candidate, grid, try_on_events, try_on_log
from tests.pipelines.records import Record
from tests.pipelines.replay.test_replay import events, settings

STREAM = "bot/answer"


@pytest.fixture(scope="module")
def featurizer() -> Featurizer:
    return featurizer_for(Settings())


def tried(featurizer: Featurizer, *texts: str, long_from: int = 400, ours: Settings | None = None) -> list[Outcome]:
    return try_on_events(events(long_from), ours or settings(), [candidate(text) for text in texts], featurizer)


def test_a_candidate_raises_what_a_replay_with_its_settings_finds(featurizer: Featurizer) -> None:
    text = "floors.number=2; exclude=output.repetition.*, output.tone.*"
    configured, other = tried(featurizer, text)
    assert (configured.candidate, other.candidate) == (AS_CONFIGURED, text)
    with_it = settings().model_copy(update={"detection": candidate(text).settings(settings().detection)})
    for outcome, own in ((configured, settings()), (other, with_it)):
        found = list(replay(events(400), own))
        fired = [finding for finding in found if finding.opens]
        assert outcome.fired == len(fired) > 0
        assert outcome.info == sum(finding.state is State.INFO for finding in found)
        assert outcome.first_alert is not None
        assert outcome.first_alert.id == fired[0].id
        assert outcome.first_alert.delay_events == fired[0].raised_at.index - fired[0].began_at.index + 1
        assert outcome.first_alert.delay_s == outcome.first_alert.delay_events - 1  # one event a second
        assert outcome.first_alert.top_feature == fired[0].features[0].name
    assert configured.first_alert is not None
    assert other.first_alert is not None
    assert configured.first_alert.id != other.first_alert.id


def test_floors_that_nothing_reaches_raise_nothing(featurizer: Featurizer) -> None:
    floors = "floors.number=1000; floors.spread=1000; floors.flag=1; floors.failure=1; floors.category=1"
    configured, high = tried(featurizer, floors)
    assert configured.fired
    assert not high.fired
    assert high.first_alert is None


def test_a_budget_says_how_many_false_alarms_it_allows(featurizer: Featurizer) -> None:
    configured, weekly = tried(featurizer, "alert_budget=1 per 7d", long_from=10_000)
    month = 30 * 86_400
    # One event a second: the events of 30 days, of which 400 of the 600 were judged.
    assert configured.mean_run_length == pytest.approx(month, rel=0.02)
    assert weekly.mean_run_length == pytest.approx(month * 7 / 30, rel=0.02)
    assert configured.expected_false_alarms == pytest.approx(400 / configured.mean_run_length)
    assert configured.events == weekly.events == 600
    assert not configured.fired
    assert not weekly.fired


def test_the_micro_batch_changes_nothing(featurizer: Featurizer) -> None:
    assert tried(featurizer, "floors.number=2", ours=settings(37)) == tried(featurizer, "floors.number=2")


def test_features_are_measured_once(featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch) -> None:
    measure, seen = Featurizer.featurize, []

    def counted(self: Featurizer, batch: list[object], **more: object) -> object:
        seen.append(len(batch))
        return measure(self, batch, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Featurizer, "featurize", counted)
    tried(featurizer, "floors.number=2", "alert_budget=1 per 7d")
    assert sum(seen) == 600


def test_a_stream_keeps_what_its_own_settings_say_of_the_rest(featurizer: Featurizer) -> None:
    ours = Settings.model_validate({"streams": [{"match": "bot/*", "warmup": 300, "floors": {"flag": 0.2}}]})
    weekly = candidate("alert_budget=1 per 7d; floors.number=0.5").settings(ours.for_stream(STREAM).detection)
    assert (weekly.warmup, weekly.floors.flag, weekly.floors.number) == (300, 0.2, 0.5)
    assert weekly.alert_budget == (1.0, 7 * 86_400.0)


def test_the_default_grid_tries_budgets_floors_and_features() -> None:
    base = DetectionSettings.model_validate({"alert_budget": "1 per 7d", "exclude": ["input.*"]})
    names = [made.name for made in grid(base)]
    assert len(set(names)) == len(names)
    assert "alert_budget=1 per 7d" not in names, "that is in force"
    tried = {made.name: made.settings(base) for made in grid(base)}
    assert base not in tried.values()
    assert tried["without call.*"].exclude == ("input.*", "call.*")
    assert tried["all floors x 2"].floors.number == 2 * base.floors.number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alert_budget", "must look like"),
        ("=1", "must look like"),
        ("floors.nunber=1", "floors.nunber"),
        ("floors.number=x", "floors.number: must be a number"),
        ("alert_budget=often", 'must look like "1 per 30d"'),
        ("warmup=5", "warmup"),
        ("detectors=[{", "detectors"),
    ],
)
def test_what_is_no_setting_is_refused_by_its_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        candidate(text)
    assert str(refused.value).startswith(f"--try {text}")
    assert said in str(refused.value)


# The log


def log_of(featurizer: Featurizer, long_from: int, *controls: tuple[int, Control]) -> list[Record]:
    """`oqm.features` as these events would have filled it, with control rows after so many messages."""
    messages: list[bytes] = []
    for parts in measured(events(long_from), settings(50), featurizer):
        for part in parts:
            messages += [encode_tick(part.time)] if isinstance(part, Tick) else encode(part)
    for place, control in reversed(controls):
        messages.insert(place, encode_control(control))
    return [Record(0, offset, value) for offset, value in enumerate(messages)]


def test_the_log_gives_the_outcomes_of_the_events(featurizer: Featurizer) -> None:
    candidates = [candidate("floors.number=2"), candidate("exclude=output.length.*")]
    log = log_of(featurizer, 400)
    assert try_on_log(log, settings(), candidates, featurizer.specs) == try_on_events(
        events(400), settings(), candidates, featurizer
    )
    assert try_on_log(log, settings(), candidates, featurizer.specs, STREAM)
    assert try_on_log(log, settings(), candidates, featurizer.specs, "other") == []


def test_a_candidate_outlasts_settings_that_stand_in_the_log(featurizer: Featurizer) -> None:
    deaf = {"floors": {"number": 1000, "flag": 1, "failure": 1, "category": 1}}
    changed = Control(action=ControlAction.SETTINGS, stream=STREAM, data=deaf)
    log = log_of(featurizer, 400, (3, changed))
    configured, tried = try_on_log(log, settings(), [candidate("floors.number=0.3")], featurizer.specs)
    assert configured.fired
    assert tried.fired


def test_decisions_in_the_log_hold_for_every_candidate(featurizer: Featurizer) -> None:
    candidates = [candidate("floors.number=0.5"), candidate("alert_budget=1 per 7d")]
    messages = log_of(featurizer, 520)
    place = next(i for i, message in enumerate(messages) if b"bot/answer-500" in (message.value or b""))
    # All that came before is forgotten, and what is left is too little to learn from.
    pinned = log_of(featurizer, 520, (place, Control(action=ControlAction.PIN, stream=STREAM)))
    for log, fires in ((messages, True), (pinned, False)):
        outcomes = try_on_log(log, settings(), candidates, featurizer.specs)
        assert [bool(outcome.fired) for outcome in outcomes] == [fires] * 3


def test_a_candidate_that_fits_no_stream_says_which_setting() -> None:
    wrong = Candidate("mine", lambda _base: {"warmup": 1})
    with pytest.raises(ConfigError, match="--try mine: warmup"):
        wrong.settings(DetectionSettings())
