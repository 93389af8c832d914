"""What is found when something changes, and that nothing is found in the twin where nothing does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from monitor.detection import DetectionSettings, Finding, FindingKind, State, StreamState
from monitor.detection.diagnosis.attribution import COMPARED
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import Driver, Ended, Severity, finding_id
from monitor.detection.reference.learned_reference import LearnedReference, LearnedReferenceState
from monitor.detection.settings import Floors
from monitor.detection.state.snapshot_codec import from_plain
from tests.detection.streams import (
    ASKED,
    CHARS,
    EMPTY,
    FENCES,
    LANGUAGE,
    LATENCY,
    LISTS,
    REFUSAL,
    SENTIMENT,
    SETTINGS,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    named,
    replay,
    watch,
)

AT = 700
N = 1400
Change = Callable[[Traffic, np.random.Generator], None]


def grows(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[CHARS][AT:] *= 2
    traffic[WORDS][AT:] *= 2


def slows(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[LATENCY][AT:] *= 1.8


def sours(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[SENTIMENT][AT:] -= 0.8


def refuses(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[REFUSAL][AT:] = rng.random(N - AT) < 0.35


def breaks(traffic: Traffic, rng: np.random.Generator) -> None:
    """Five outputs in a hundred are empty, with all that follows from it."""
    broken = np.concatenate([start + rng.choice(20, 1) for start in range(AT, N, 20)])
    traffic[EMPTY][broken] = 1
    for name in (CHARS, WORDS, LISTS):
        traffic[name][broken] = 0
    traffic[SENTIMENT][broken] = np.nan
    assert traffic.embeddings is not None
    traffic.embeddings[broken] = 0


def speaks_spanish(traffic: Traffic, rng: np.random.Generator) -> None:
    column = traffic.categories[LANGUAGE]
    column[AT:] = ["es" if rng.random() < 0.4 else value for value in column[AT:]]


def goes_missing(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[SENTIMENT][AT:] = np.nan


def category_goes_missing(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic.categories[LANGUAGE][AT:] = [None] * (N - AT)


def leaves_its_constant(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[FENCES][AT:] = rng.random(N - AT) < 0.4


def stops_listing(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic[LISTS][AT:] = 0


def speaks_of_something_else(traffic: Traffic, rng: np.random.Generator) -> None:
    assert traffic.embeddings is not None
    traffic.embeddings[AT:, 0] *= -1


FOUND: list[tuple[Change, str, int]] = [
    (grows, CHARS, 50),
    (grows, WORDS, 50),
    (slows, LATENCY, 50),
    (sours, SENTIMENT, 40),
    (refuses, REFUSAL, 100),
    (breaks, EMPTY, 250),
    (speaks_spanish, LANGUAGE, 40),
    (goes_missing, "output.tone.missing", 20),
    (category_goes_missing, LANGUAGE, 20),
    (leaves_its_constant, FENCES, 40),
    (stops_listing, LISTS, 120),
    (speaks_of_something_else, "output.embedding.distance", 40),
]


def bent(change: Change, seed: int = 61, **how: object) -> Traffic:
    traffic = calm(N, seed, **how)  # type: ignore[arg-type]
    change(traffic, np.random.default_rng(seed + 1))
    return traffic


def first(findings: list[Finding]) -> Finding:
    firing = fired(findings)
    assert firing, [(f.state.value, f.title) for f in findings]
    return firing[0]


@pytest.mark.parametrize("seed", [61, 62])
@pytest.mark.parametrize(("change", "feature", "within"), FOUND, ids=lambda value: getattr(value, "__name__", None))
def test_a_change_is_found_soon_and_named(change: Change, feature: str, within: int, seed: int) -> None:
    found = first(replay(watch(), bent(change, seed)))
    assert AT <= found.raised_at.index < AT + within
    assert feature in named(found)
    assert found.began_at.low <= found.began_at.index <= found.began_at.high
    assert abs(found.began_at.index - AT) <= 40
    assert found.began_at.high <= found.raised_at.index


@pytest.mark.parametrize("seed", [61, 62, 63])
def test_without_a_change_nothing_is_found(seed: int) -> None:
    monitor = watch()
    assert replay(monitor, calm(N, seed)) == []
    assert monitor.close() == []
    assert monitor.status().state is StreamState.STABLE
    assert monitor.status().firing == []


def test_a_finding_says_it_all() -> None:
    traffic = bent(grows)
    monitor = watch()
    found = first(replay(monitor, traffic))
    index = found.raised_at.index
    assert found.raised_at.event_id == f"s-{index}"
    assert found.raised_at.time == traffic.times[index]
    assert found.began_at.time == traffic.times[found.began_at.index]
    change = next(c for c in found.features if c.name == CHARS)
    assert change.before == pytest.approx(np.median(traffic[CHARS][:AT]), rel=0.1)
    assert change.after == pytest.approx(np.median(traffic[CHARS][found.began_at.index : index + 1]), rel=0.02)
    assert change.effect > 2
    assert found.driver is Driver.OUTPUT
    assert found.kind is FindingKind.SILENT_UPDATE
    assert found.segment is None
    assert found.severity is Severity.WARNING
    assert found.runbook == "runbooks/silent_update.md"
    assert found.title.startswith("s: Answers are longer: ")
    assert found.stream in found.title
    assert "answers are longer: " in found.cause
    assert found.evidence is not None
    assert found.threshold is not None
    assert found.evidence >= found.threshold == monitor.status().log_threshold.__round__(2)
    before = [int(i.split("-")[1]) for i in found.examples.before]
    after = [int(i.split("-")[1]) for i in found.examples.after]
    assert len(before) == len(after) == 3
    assert all(i < found.began_at.index for i in before)
    assert all(found.began_at.index <= i <= index for i in after)
    assert [e.event_id for e in found.excerpts_after] == found.examples.after
    assert [e.output for e in found.excerpts_after] == [f"answer {i}" for i in found.examples.after]


def test_its_id_is_a_function_of_the_log() -> None:
    found = first(replay(watch(), bent(grows)))
    assert found.id == finding_id("s", found.kind, found.driver, found.segment, found.raised_at.index)
    assert first(replay(watch(), bent(grows), size=31)).id == found.id
    assert first(replay(watch(), bent(grows, seed=62))).id != found.id


@pytest.mark.parametrize("change", [grows, leaves_its_constant, slows])
def test_it_is_raised_at_the_row_that_crossed(change: Change) -> None:
    traffic = bent(change)
    index = first(replay(watch(), traffic)).raised_at.index
    for stop, fires in ((index, False), (index + 1, True)):
        monitor = watch()
        found = replay(monitor, traffic, 0, stop) + monitor.close()
        assert bool(fired(found)) is fires


def test_before_and_after_of_a_flag_are_rates() -> None:
    traffic = bent(refuses)
    found = first(replay(watch(), traffic))
    change = next(c for c in found.features if c.name == REFUSAL)
    assert change.before == pytest.approx(0.04, abs=0.03)
    assert change.after == pytest.approx(
        traffic[REFUSAL][found.began_at.index : found.raised_at.index + 1].mean(), rel=0.01
    )
    assert "more refusals: " in found.cause


def test_failures_are_critical_and_slower_calls_are_of_the_call() -> None:
    assert first(replay(watch(), bent(breaks))).severity is Severity.CRITICAL
    slow = first(replay(watch(), bent(slows)))
    assert (slow.kind, slow.driver) == (FindingKind.LATENCY, Driver.CALL)
    assert slow.runbook == "runbooks/latency.md"


# Floors


@pytest.mark.parametrize("seed", [71, 72, 73])
def test_a_small_change_is_information_at_most(seed: int) -> None:
    traffic = calm(4000, seed)
    traffic[CHARS][AT:] *= 1.08
    traffic[WORDS][AT:] *= 1.08
    monitor = watch()
    assert fired(replay(monitor, traffic)) == []
    assert monitor.status().state is StreamState.STABLE


def test_the_floor_is_a_setting() -> None:
    high = SETTINGS.model_copy(update={"floors": Floors(number=5, flag=1, failure=1, category=1)})
    found = replay(watch(high), bent(grows))
    assert fired(found) == []
    assert [f.state for f in found][:1] == [State.INFO]
    assert found[0].severity is Severity.INFO


# After firing


def test_recovery_resolves_and_the_stream_is_stable_again() -> None:
    traffic = calm(2200, 61)
    for name in (CHARS, WORDS):
        traffic[name][AT:1100] *= 2
    monitor = watch()
    found = replay(monitor, traffic, 0, 1100)
    assert monitor.status().state is StreamState.DRIFT
    assert monitor.status().firing == [first(found).id]
    later = replay(monitor, traffic, 1100)
    assert [(f.id, f.state) for f in later] == [(first(found).id, State.RESOLVED)]
    ended = later[0].resolution
    assert ended is not None
    assert ended.how is Ended.RECOVERED
    assert ended.why.startswith(f"{CHARS} is back at ")
    assert ended.lasted_events is not None
    assert ended.back_events is not None
    assert 1100 - AT - 40 < ended.lasted_events < 1100 - AT + 40
    assert ended.lasted_s == pytest.approx(ended.lasted_events, abs=2)  # one event a second
    assert f"for {ended.back_events} events. It lasted " in later[0].cause
    assert monitor.status().state is StreamState.STABLE
    assert monitor.status().firing == []


def test_recovery_takes_as_many_events_as_the_setting_says() -> None:
    traffic = calm(2200, 61)
    for name in (CHARS, WORDS):
        traffic[name][AT:1100] *= 3

    def resolved_by(stop: int, recovery: int) -> bool:
        monitor = watch(SETTINGS.model_copy(update={"recovery": recovery}))
        found = replay(monitor, traffic, 0, stop, size=32)
        return any(f.state is State.RESOLVED for f in found)

    assert not resolved_by(1100 + 130, 200)
    assert resolved_by(1100 + 300, 200)
    assert resolved_by(1100 + 130, 60)
    assert not resolved_by(1100 + 300, 500)  # more than a history holds: its last rows are looked at
    assert resolved_by(1100 + 560, 500)


@pytest.mark.parametrize("seed", [301, 302, 304, 305, 306, 307])
def test_going_back_is_no_second_alert(seed: int) -> None:
    traffic = calm(2000, seed)
    for name in (CHARS, WORDS):
        traffic[name][AT:1100] *= 2
    assert [f.state for f in replay(watch(), traffic)] == [State.FIRING, State.RESOLVED]


@pytest.mark.parametrize("seed", [301, 302, 304])
def test_a_way_back_that_brings_another_change_is_a_second_alert(seed: int) -> None:
    traffic = calm(2000, seed)
    for name in (CHARS, WORDS):
        traffic[name][AT:1200] *= 2
    traffic[LATENCY][1200:] *= 3
    second = [f for f in fired(replay(watch(), traffic)) if f.raised_at.index >= 1200]
    assert second
    assert second[0].raised_at.index < 1350
    assert LATENCY in named(second[0])


@pytest.mark.parametrize("seed", [200, 204, 206])
def test_failures_that_go_on_do_not_resolve(seed: int) -> None:
    """Five in a hundred, at random, for 2,500 events: some 200 of them hold only four."""
    traffic = calm(AT + 2500, seed)
    traffic[EMPTY][AT:] = np.random.default_rng(seed - 200).random(2500) < 0.05
    monitor = watch()
    assert [f.state for f in replay(monitor, traffic)] == [State.FIRING]
    assert monitor.status().state is StreamState.DRIFT


def test_what_was_found_before_is_found_again_after_recovery() -> None:
    traffic = calm(2600, 61)
    for name in (CHARS, WORDS):
        traffic[name][AT:1100] *= 2
        traffic[name][1900:] *= 2
    found = fired(replay(watch(), traffic))
    assert len(found) == 2
    assert 1900 <= found[1].raised_at.index < 1950
    assert found[0].id != found[1].id


def test_a_second_change_while_the_first_fires_is_a_second_finding() -> None:
    traffic = bent(grows, 61)
    traffic[LATENCY][1100:] *= 2
    monitor = watch()
    found = fired(replay(monitor, traffic))
    assert len(found) == 2
    assert 1100 <= found[1].raised_at.index < 1150
    assert LATENCY in named(found[1])
    assert CHARS not in named(found[1]), "that one fires already"
    assert monitor.status().firing == [f.id for f in found]


def test_a_change_that_lasts_is_one_finding() -> None:
    traffic = calm(4000, 61)
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= 2
    found = replay(watch(), traffic)
    assert [f.state for f in found] == [State.FIRING]


@pytest.mark.parametrize("pinned", [False, True], ids=["", "pinned"])
def test_a_provisional_reference_matures_while_the_change_lasts(pinned: bool) -> None:
    """So what is normal in a change that nobody accepts is known as well as before it."""
    monitor = watch()
    if pinned:
        monitor.control(Control(action=ControlAction.PIN, stream="s"))
    traffic = calm(4000, 61)
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= 2
    replay(monitor, traffic)
    track = decoded(monitor.snapshot())["monitors"]["main"]
    original, provisional = (
        LearnedReference.from_state(from_plain(track[which], LearnedReferenceState)).reference
        for which in ("original", "active")
    )
    assert provisional.n >= SETTINGS.mature
    assert provisional.frozen
    assert (original.n == SETTINGS.warmup) == pinned


# Who, or what, changed

TENANTS = [{"attributes.tenant": name} for name in ("a", "b", "c")]


@pytest.mark.parametrize("seed", [81, 82, 83])
def test_the_segment_that_changed_is_named(seed: int) -> None:
    traffic = calm(N, seed, segments=TENANTS)
    theirs = np.asarray([segment["attributes.tenant"] == "b" for segment in traffic.segments]) & (np.arange(N) >= AT)
    for name in (CHARS, WORDS, LATENCY):
        traffic[name][theirs] *= 3
    found = first(replay(watch(), traffic))
    assert found.segment == {"attributes.tenant": "b"}
    assert "attributes.tenant=b" in found.title
    assert AT <= found.raised_at.index < AT + 200


def faults(seed: int, share: float, tenant: str | None = None) -> Finding:
    """What is reported first of empty outputs, so many of all or of one tenant's."""
    traffic = calm(N, seed, segments=TENANTS)
    hit = (np.arange(N) >= AT) & (np.random.default_rng(seed).random(N) < share)
    hit &= np.asarray([tenant in (None, segment["attributes.tenant"]) for segment in traffic.segments])
    traffic[EMPTY][hit] = 1.0
    return first(replay(watch(), traffic))


def test_faults_of_all_are_laid_to_no_segment() -> None:
    """They are reported after a handful, most of which may be one tenant's by chance."""
    reported = [faults(seed, 0.15) for seed in range(200, 220)]
    assert sum(finding.segment is not None for finding in reported) <= 1
    assert not any("Perhaps" in finding.cause for finding in reported if finding.segment)


def test_faults_of_one_segment_are_laid_to_it_or_the_guess_is_called_one() -> None:
    reported = [faults(seed, 0.2, "b") for seed in range(200, 212)]
    assert {str(finding.segment) for finding in reported} == {"{'attributes.tenant': 'b'}", "None"}
    assert sum(finding.segment is not None for finding in reported) >= 10
    guess = "Perhaps only in attributes.tenant=b: too few events to be sure."
    assert all((guess in finding.cause) == (finding.segment is None) for finding in reported)


def test_no_segment_is_named_where_all_changed() -> None:
    found = first(replay(watch(), bent(grows, 81, segments=TENANTS)))
    assert found.segment is None


@pytest.mark.parametrize("seed", [84, 85])
def test_more_of_one_segment_is_no_change_of_behaviour(seed: int) -> None:
    """Tasks differ by nature: one has thrice the length of the other; then their shares turn round."""
    rng = np.random.default_rng(seed)
    traffic = calm(2000, seed)
    long = rng.random(2000) < np.where(np.arange(2000) < AT, 0.25, 0.75)
    traffic.segments = [
        {**s, "attributes.task": "long" if yes else "short"} for s, yes in zip(traffic.segments, long, strict=True)
    ]
    for name in (CHARS, WORDS):
        traffic[name][long] *= 3
    found = replay(watch(), traffic)
    assert fired(found) == []
    assert all(f.kind is FindingKind.MIX_SHIFT for f in found)


def test_behaviour_that_changes_within_the_mix_is_found() -> None:
    rng = np.random.default_rng(84)
    traffic = calm(2000, 84)
    long = rng.random(2000) < 0.5
    traffic.segments = [
        {**s, "attributes.task": "long" if yes else "short"} for s, yes in zip(traffic.segments, long, strict=True)
    ]
    for name in (CHARS, WORDS):
        traffic[name][long] *= 3
        traffic[name][AT:] *= 2
    found = first(replay(watch(), traffic))
    assert found.raised_at.index < AT + 60
    assert found.driver is Driver.OUTPUT


def newcomer(seed: int) -> Traffic:
    traffic = calm(3000, seed, segments=TENANTS[:2])
    rng = np.random.default_rng(seed)
    theirs = np.flatnonzero((rng.random(3000) < 0.3) & (np.arange(3000) >= AT))
    for row in theirs:
        traffic.segments[row] = {"model.version": "v1", "attributes.tenant": "new"}
    for name in (CHARS, WORDS, LATENCY):
        traffic[name][theirs] *= 4
    return traffic


def test_a_segment_never_seen_before_is_information_and_learned_apart() -> None:
    monitor = watch()
    found = replay(monitor, newcomer(86))
    assert fired(found) == []
    assert 1 <= len(found) <= 2  # rows behind the first, in the same block, may say it again
    assert all(f.segment == {"attributes.tenant": "new"} for f in found)
    assert found[0].kind is FindingKind.MIX_SHIFT
    assert monitor.status().state is StreamState.STABLE


@pytest.mark.parametrize("who", ["the others", "the new ones"])
def test_behind_a_new_segment_a_change_is_still_found(who: str) -> None:
    traffic = newcomer(86)
    new = np.asarray([segment.get("attributes.tenant") == "new" for segment in traffic.segments])
    changed = (new if who == "the new ones" else ~new) & (np.arange(3000) >= 2200)
    traffic[LATENCY][changed] *= 3
    found = fired(replay(watch(), traffic))
    assert found
    assert 2200 <= found[0].raised_at.index < 2350
    assert LATENCY in named(found[0])


# Inputs


def asks_more(traffic: Traffic, rng: np.random.Generator) -> None:
    """Longer questions, and answers longer by what longer questions bring in this stream (see `calm`)."""
    traffic[ASKED][AT:] *= 2
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= np.exp(0.2 * np.log(2) / 0.5)


@pytest.mark.parametrize("seed", [91, 92, 93])
def test_a_change_that_the_inputs_drive_is_information(seed: int) -> None:
    found = replay(watch(), bent(asks_more, seed))
    assert fired(found) == []
    assert found
    assert found[0].driver is Driver.INPUT
    assert found[0].kind is FindingKind.INPUT_DRIFT
    assert ASKED in named(found[0])


def test_it_pages_where_the_settings_ask_for_it() -> None:
    settings = SETTINGS.model_copy(update={"alert_on": ("output", "call", "input")})
    found = first(replay(watch(settings), bent(asks_more, 91)))
    assert found.driver is Driver.INPUT


def test_other_answers_to_the_same_questions_are_of_the_output() -> None:
    found = first(replay(watch(), bent(grows, 91)))
    assert found.driver is Driver.OUTPUT
    assert "inputs" not in found.cause.lower() or "not" in found.cause


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_what_drives_answers_to_other_questions_is_reported_when_enough_came(seed: int) -> None:
    def answers(traffic: Traffic, rng: np.random.Generator) -> None:
        for name in (CHARS, WORDS):
            traffic[name][AT:] *= 1.6
        traffic[SENTIMENT][AT:] -= 0.6

    def asks_too(traffic: Traffic, rng: np.random.Generator) -> None:
        answers(traffic, rng)
        traffic[ASKED][AT:] *= 1.5

    soon, late = (first(replay(watch(), bent(change, seed))) for change in (answers, asks_too))
    assert (soon.driver, late.driver) == (Driver.OUTPUT, Driver.OUTPUT)
    assert soon.raised_at.index - soon.began_at.index < COMPARED - 8
    assert late.raised_at.index - late.began_at.index >= COMPARED - 1


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_faults_are_not_laid_to_other_questions_that_came_with_them(seed: int) -> None:
    def asks_more_and_fails(traffic: Traffic, rng: np.random.Generator) -> None:
        traffic[ASKED][AT:] *= 1.6
        traffic[EMPTY][AT:] = rng.random(N - AT) < 0.08

    found = first(replay(watch(), bent(asks_more_and_fails, seed)))
    assert found.driver is Driver.OUTPUT
    assert found.severity is Severity.CRITICAL


# Versions


def _updated(version: str | None, seed: int = 61, key: str = "model.version") -> Traffic:
    traffic = calm(N, seed, version="v1" if version else None)
    grows(traffic, np.random.default_rng(0))
    if version:
        for row in range(AT, N):
            traffic.segments[row] = {**traffic.segments[row], key: version}
    return traffic


def test_a_change_that_came_with_a_version_names_it() -> None:
    found = first(replay(watch(), _updated("v2")))
    assert found.kind is not FindingKind.SILENT_UPDATE
    assert found.segment == {"model.version": "v2"}
    assert "model.version=v2" in found.cause


@pytest.mark.parametrize("seed", range(61, 68))
def test_a_version_that_all_rows_came_with_is_named_before_any_segment_of_them(seed: int) -> None:
    """One tenant's outputs grow most, so a few rows of it look as if they alone had changed.

    Known gap: where the change point is put a little early (seed 68), rows from before it hide that all came with it.
    """
    traffic = calm(N, seed, segments=[{"model.version": "1", "attributes.tenant": t} for t in "ab"])
    for row in range(AT, N):
        grown = 8 if traffic.segments[row]["attributes.tenant"] == "a" else 1.3
        for name in (CHARS, WORDS):
            traffic[name][row] *= grown
        traffic.segments[row] = {**traffic.segments[row], "model.version": "2"}
    assert first(replay(watch(), traffic)).segment == {"model.version": "2"}


def test_a_change_without_a_new_version_is_a_silent_update() -> None:
    found = first(replay(watch(), _updated("v1")))
    assert found.kind is FindingKind.SILENT_UPDATE
    assert "silent" in found.cause


def test_where_versions_are_not_known_nothing_is_said_of_them() -> None:
    found = first(replay(watch(), _updated(None)))
    assert found.kind is FindingKind.DRIFT
    assert "version" not in found.cause


def test_a_version_that_changes_nothing_fires_nothing() -> None:
    traffic = calm(N, 61)
    for row in range(AT, N):
        traffic.segments[row] = {"model.version": "v2"}
    assert fired(replay(watch(), traffic)) == []


# Silence


def test_silence_fires_at_a_tick_and_ends_with_the_next_event() -> None:
    monitor = watch(DetectionSettings(warmup=200, silence_after=60))
    traffic = calm(300, 5)
    assert replay(monitor, traffic, 0, 250) == []
    last = float(traffic.times[249])
    assert monitor.tick(last + 60) == []
    assert monitor.waits_for(last + 61)
    found = monitor.tick(last + 61)
    assert [(f.kind, f.state) for f in found] == [(FindingKind.SILENCE, State.FIRING)]
    assert found[0].raised_at.time == last + 61
    assert found[0].raised_at.index == 249
    assert found[0].began_at.time == last
    assert monitor.status().state is StreamState.SILENT
    assert monitor.status().firing == [found[0].id]
    assert monitor.tick(last + 600) == [], "it says so once"
    ended = replay(monitor, traffic, 250)
    assert [(f.id, f.state) for f in ended] == [(found[0].id, State.RESOLVED)]
    assert monitor.status().state is StreamState.STABLE


def test_without_the_setting_a_stream_of_a_few_minutes_is_not_silent() -> None:
    """From a quarter of an hour on what is usual says so (`test_volume`)."""
    monitor = watch()
    replay(monitor, calm(300, 5))
    assert monitor.tick(1e12) == []


def test_no_rows_are_no_event() -> None:
    monitor = watch(DetectionSettings(warmup=200, silence_after=60))
    traffic = calm(300, 5)
    replay(monitor, traffic)
    assert monitor.tick(float(traffic.times[-1]) + 61)
    assert monitor.observe(traffic.batch(0, 0)) == []
    assert monitor.observe(traffic.batch(290, 300)) == [], "neither is one that was seen before"
    assert monitor.status().state is StreamState.SILENT


def test_a_stream_that_never_spoke_is_not_silent() -> None:
    monitor = watch(DetectionSettings(silence_after=60))
    assert not monitor.waits_for(1e12)
    assert monitor.tick(1e12) == []
    assert monitor.status().state is StreamState.WARMING
