"""What the store counts of judged streams, on SQLite and on a real PostgreSQL: each output and verdict once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from monitor.judgment.quality import Method, Quality
from monitor.judgment.records import Purpose
from monitor.store.base import TraceStore
from monitor.store.estimating import default_window, estimates
from monitor.store.open import open_store
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.quality import Window
from tests.store.judged_stream import NOON, Log, judgment, output_rows

HOUR = int(NOON // 3_600)
WINDOW = Window(since=HOUR - 24, until=HOUR + 24)


@pytest.fixture
def store(address: str) -> Iterator[TraceStore]:
    opened = open_store(address)
    yield opened
    opened.close()


def judged_log() -> Log:
    """100 outputs, 20 of them risky, 30 judged: 8 of 10 risky and 19 of 20 others pass."""
    log = Log()
    strata = ["risky+uniform" if n < 20 else "uniform" for n in range(100)]
    log.append(output_rows(range(60), strata=strata[:60]))
    log.append(output_rows(range(60, 100), strata=strata[60:]))
    for n in range(10):
        log.append(judgment(n, n >= 2, rules=("risky", "uniform")))
    for n in range(20, 40):
        log.append(judgment(n, n != 20))
    return log


def only(store: TraceStore, window: Window = WINDOW, **given: object) -> Quality:
    (found,) = estimates(store, window, **given)  # type: ignore[arg-type]
    return found


def test_a_rate_of_all_outputs_with_its_interval_and_number(store: TraceStore) -> None:
    store.write(judged_log().rows())
    found = only(store)
    assert found.rate == pytest.approx(0.2 * 0.8 + 0.8 * 0.95)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.92 < found.high
    assert (found.seen, found.judged, found.missing, found.people) == (100, 30, 0, 0)
    assert found.sampled_share == pytest.approx(0.3)
    assert (found.always_valid, found.level, found.evaluator) == (True, 0.95, "main")
    once = only(store, always_valid=False)
    assert once.low is not None
    assert once.low > found.low  # an interval for one look is narrower


def test_each_output_is_counted_once_when_messages_come_again_and_are_cut_otherwise(store: TraceStore) -> None:
    log = judged_log()
    store.write(log.rows(0, 10))
    store.write(log.rows(5, 25))  # the same messages: the worker died before it knew that they were written
    store.write(log.rows(10))
    log.append(output_rows(range(50, 80)))  # the same outputs in a new message: featurize died
    for n in (20, 21, 22):
        log.append(judgment(n, passed=False, judged_at=NOON + 900))  # judged again, otherwise
    store.write(log.rows(32))
    found = only(store)
    assert (found.seen, found.judged) == (100, 30)
    assert found.rate == pytest.approx(0.92)


@pytest.mark.parametrize("address", ["postgres"], indirect=True)  # one worker alone writes SQLite
def test_two_workers_that_write_the_same_outputs_at_once_count_them_once(address: str) -> None:
    """One has lost the partition and does not know it yet. Both read the fence before either has moved it, but for the
    lock: every one of these batches would be counted twice."""
    log = Log()
    for first in range(0, 600, 20):
        log.append(output_rows(range(first, first + 20)))
    stores = [open_store(address), open_store(address)]
    together = Barrier(2)

    def write(store: TraceStore) -> None:
        for message in range(30):
            incoming = log.rows(message, message + 1)
            together.wait()
            store.write(incoming)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, stores))
    assert only(stores[0], judged=lambda _: ["helpful"]).seen == 600
    for store in stores:
        store.close()


def test_a_store_that_is_made_again_from_the_log_has_the_same(
    store: TraceStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = judged_log()
    log.append(output_rows(range(90, 120), short=[1.0] * 30))
    log.append(judgment(41, None))
    log.append(judgment(41, passed=True))
    for start in range(0, len(log.messages), 7):
        store.write(log.rows(start, start + 9))
    again = open_store(str(tmp_path_factory.mktemp("again") / "traces"))
    again.write(log.rows())
    assert estimates(again, WINDOW) == estimates(store, WINDOW)
    assert again.judgments("e41") == store.judgments("e41")
    again.close()


def test_a_missing_verdict_is_no_failure_until_one_comes_and_a_verdict_stays(store: TraceStore) -> None:
    log = judged_log()
    log.append(judgment(50, None))
    store.write(log.rows())
    found = only(store)
    assert (found.judged, found.missing) == (30, 1)
    assert found.rate == pytest.approx(0.92)
    assert found.if_missing is not None
    assert found.if_missing[0] < 0.92 < found.if_missing[1]
    log.append(judgment(50, passed=True))
    log.append(judgment(50, passed=False))
    store.write(log.rows(33))
    assert (only(store).judged, only(store).missing) == (31, 0)
    assert store.judgments("e50")[0].passed is True


def test_a_judgment_that_comes_again_after_midnight_is_the_same_row(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(10)))
    log.append(judgment(1))
    log.append(judgment(1, passed=False), at=NOON + 86_400)
    store.write(log.rows(0, 2))
    store.write(log.rows(2))
    assert [one.passed for one in store.judgments("e1")] == [True]
    assert only(store).judged == 1


def test_examples_and_anchors_enter_no_estimate_and_are_shown(store: TraceStore) -> None:
    log = judged_log()
    log.append(judgment(3, passed=False, purpose=Purpose.DIAGNOSTIC, finding="f1", probability=1.0))
    log.append(judgment(3, passed=False, purpose=Purpose.DIAGNOSTIC, finding="f2", probability=1.0))
    log.append(judgment(3, passed=False, purpose=Purpose.ANCHOR, anchor="a", place=None))
    store.write(log.rows())
    assert only(store).judged == 30
    assert sorted((one.purpose, one.finding) for one in store.judgments("e3")) == [
        ("anchor", None), ("diagnostic", "f1"), ("diagnostic", "f2"), ("sample", None),
    ]  # fmt: skip


def test_a_changed_probability_within_a_stratum_is_weighed(store: TraceStore) -> None:
    """Half of the outputs were drawn at 0.5 and failed, half at 0.05 and passed: the plain mean would be 9 %."""
    log = Log()
    log.append(output_rows(range(200)))
    for n in range(50):
        log.append(judgment(n, passed=False, probability=0.5))
    for n in range(100, 105):
        log.append(judgment(n, passed=True, probability=0.05))
    store.write(log.rows())
    found = only(store)
    assert found.rate == pytest.approx(0.5)
    assert found.judged == 55
    assert found.low is not None
    assert found.low < 0.2  # which few verdicts decide


def test_verdicts_of_two_evaluators_are_not_mixed(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(100), time=NOON - 4 * 3_600))
    log.append(output_rows(range(100, 150), time=NOON))
    for n in range(20):
        log.append(judgment(n, passed=True, time=NOON - 4 * 3_600))
    for n in range(100, 110):
        log.append(judgment(n, passed=False, identity="b2"))
    store.write(log.rows())
    newest, before = estimates(store, WINDOW)
    assert (newest.identity, newest.rate, newest.seen, newest.judged) == ("b2", 0.0, 50, 10)
    assert (before.identity, before.rate, before.seen, before.judged) == ("a1", 1.0, 100, 20)
    assert newest.identities == before.identities == 2
    assert newest.since == before.until == HOUR * 3_600


def test_a_slice_of_the_input_and_a_segment_can_be_asked_for(store: TraceStore) -> None:
    log = Log()
    languages = ["pl" if n % 2 else "en" for n in range(100)]
    log.append(output_rows(range(100), languages=languages, tenant="north"))
    log.append(output_rows(range(100, 120), tenant="south"))
    for n in range(40):
        north = {"model.name": "m", "attributes.tenant": "north"}
        log.append(judgment(n, n % 2 == 0, slices={"language": languages[n]}, segments=north))
    store.write(log.rows(attribute="attributes.tenant"))
    by_language = estimates(store, Window(since=HOUR - 1, until=HOUR + 1, by=("language",)))
    assert [(one.by, one.rate, one.judged, one.seen) for one in by_language] == [
        ({"language": "en"}, 1.0, 20, 70), ({"language": "pl"}, 0.0, 20, 50),
    ]  # fmt: skip
    narrowed = only(store, Window(since=HOUR - 1, until=HOUR + 1, where={"language": "pl", "segment": "north"}))
    assert (narrowed.rate, narrowed.seen) == (0.0, 50)
    south = estimates(store, Window(since=HOUR - 1, until=HOUR + 1, by=("segment",)))[1]
    assert (south.by, south.rate, south.low, south.judged, south.seen) == ({"segment": "south"}, None, None, 0, 20)


def test_what_nobody_judged_has_no_rate(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(10)))
    store.write(log.rows())
    assert estimates(store, WINDOW) == []
    found = only(store, judged=lambda stream: ["helpful"] if stream == "support" else [])
    assert (found.rate, found.low, found.high, found.judged, found.seen) == (None, None, None, 0, 10)


def test_a_stratum_without_a_verdict_leaves_its_share_open(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(100), strata=["risky+uniform"] * 30 + ["uniform"] * 70))
    for n in range(30, 60):
        log.append(judgment(n))
    store.write(log.rows())
    found = only(store)
    assert found.unjudged_share == pytest.approx(0.3)
    assert found.low is not None
    assert found.low < 0.7


def test_a_verdict_that_is_missing_before_the_first_answer_belongs_to_whoever_answers_then(store: TraceStore) -> None:
    log = judged_log()
    log.append(judgment(50, None, identity="", time=NOON - 7_200))
    store.write(log.rows())
    found = only(store)
    assert (found.identity, found.identities, found.judged, found.missing) == ("a1", 1, 30, 1)
    nothing = Log()
    nothing.append(judgment(1, None, stream="mute", identity="", place=None))
    store.write(nothing.rows())
    mute = only(store, Window(since=HOUR - 1, until=HOUR + 1, only="mute"))
    assert (mute.rate, mute.judged, mute.missing, mute.evaluator) == (None, 0, 1, "main")


def test_evaluators_that_answer_in_turn_share_their_hours(store: TraceStore) -> None:
    log = Log()
    for hours in (3, 2, 1):
        log.append(output_rows(range(400 - 100 * hours, 500 - 100 * hours), time=NOON - hours * 3_600))
        for n in range(20):
            log.append(judgment(400 - 100 * hours + n, n % 2 == 0, identity=f"i{n % 2}", time=NOON - hours * 3_600 + n))
    store.write(log.rows())
    assert [(one.seen, one.judged) for one in estimates(store, WINDOW)] == [(300, 30), (300, 30)]


def test_checks_of_every_output_are_exact_counts(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(10), strata=[None] * 10, short=[1.0] * 3 + [0.0] * 5 + [float("nan")] * 2))
    store.write(log.rows())
    store.write(log.rows())
    found = only(store)
    assert (found.criterion, found.method, found.judged) == ("short", Method.EVERY_OUTPUT, 8)
    assert found.rate == found.low == found.high == pytest.approx(5 / 8)


def test_rows_of_derived_streams_are_no_outputs(store: TraceStore) -> None:
    log = Log()
    log.append(output_rows(range(5), stream="~judged/support", short=[1.0] * 5))
    store.write(log.rows())
    assert estimates(store, WINDOW) == []


def test_counts_end_with_their_day(store: TraceStore) -> None:
    store.write(judged_log().rows())
    store.drop_before(int(NOON // 86_400) + 1)
    assert estimates(store, WINDOW, lambda _: ["helpful"]) == []
    assert store.judgments("e1") == []


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (FieldPolicy(), "Writes to [masked email]."),
        (FieldPolicy(output=Keep.FULL, input=Keep.FULL), "Writes to ann@example.com."),
        (FieldPolicy(output=Keep.FULL, input=Keep.NONE), None),  # the reason may quote what was asked
    ],
)
def test_the_evaluators_reason_is_kept_as_privacy_allows(policy: FieldPolicy, kept: str | None) -> None:
    log = Log()
    log.append(judgment(1, rationale="Writes to ann@example.com."))
    (row,) = log.rows(privacy=Privacy(fields=(policy,))).judgments
    assert row["rationale"] == kept


@pytest.mark.parametrize(
    ("keep", "kept"), [(Keep.FULL, "ann@example.com"), (Keep.MASKED, "[masked email]"), (Keep.NONE, "")]
)
def test_attributes_are_kept_as_privacy_allows_in_counts_and_judgments_alike(keep: Keep, kept: str) -> None:
    log = Log()
    log.append(output_rows([1], tenant="ann@example.com"))
    log.append(judgment(1, segments={"model.name": "m", "attributes.tenant": "ann@example.com"}))
    privacy = Privacy(fields=(FieldPolicy(attributes=keep),))
    incoming = log.rows(privacy=privacy, attribute="attributes.tenant")
    (row,), (output,) = incoming.judgments, incoming.counted
    assert row["segment"] == output.cell.segment == kept
    assert ("ann@example.com" in row["segments"]) == (keep is Keep.FULL)
    assert (row["model"], output.cell.model) == ("m", "m 7")


def test_hostile_judgments_stop_nothing(store: TraceStore) -> None:
    log = judged_log()
    log.append(b"not json")
    log.append(b'{"stream": "support", "event": 5}')
    log.append(judgment(90, rationale="a\0b", evaluator="x\0", finding="y" * 5_000))
    log.append(judgment(91, probability=0.0, tokens=2**63 - 1, time=1e18))
    log.append(judgment(92, time=-1e18, identity="i" * 500, segments={"model.name": "\0"}))
    store.write(log.rows())
    assert store.judgments("e90")[0].rationale == "a\ufffdb"
    assert store.judgments("e91")[0].passed is True


def test_the_default_window_starts_at_a_midnight() -> None:
    early, late = default_window(NOON), default_window(NOON + 6 * 3_600)
    assert early.since == late.since
    assert early.since % 24 == 0
    assert early.until * 3_600 > NOON


def test_judgments_with_a_verdict_are_known_by_day_and_key(store: TraceStore) -> None:
    log = Log()
    log.append(judgment(1))
    log.append(judgment(2, None))
    log.append(judgment(3, time=NOON - 86_400))
    incoming = log.rows()
    keys = [(row["day"], row["key"]) for row in incoming.judgments]
    assert store.with_verdict(keys) == set()
    store.write(incoming)
    assert store.with_verdict([*keys, (1, "other")]) == {keys[0][1], keys[2][1]}
    assert store.with_verdict([]) == set()
