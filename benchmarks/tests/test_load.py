from __future__ import annotations

from itertools import islice

from benchmarks.alert_latency import AFTER, BEFORE, SLOTS, _slot
from benchmarks.load import Progress, between


def test_each_stage_is_divided_by_its_own_events_and_workers_are_added_up() -> None:
    # featurize is ahead by 30 events where counting starts, so detect has 30 more to apply than featurize has to read
    before = [Progress(True, 40, 10, 1.0, {"featurize": 0.4, "detect": 0.1}), Progress(True, 0, 0, 2.0, {})]
    after = [
        Progress(True, 50, 50, 1.6, {"featurize": 0.5, "detect": 0.3}),
        Progress(True, 10, 10, 2.4, {"featurize": 0.1, "detect": 0.3}),
    ]
    done = between("monitor", before, after)
    assert (done.read, done.applied) == (20, 50)
    assert {stage: round(us) for stage, us in done.stage_us.items()} == {"featurize": 10_000, "detect": 10_000}
    assert round(done.us_per_event) == 20_000 + 15_000  # 0.3 s belong to neither


def test_an_agent_without_stages_is_divided_by_its_events() -> None:
    assert between("nothing", [Progress(True, 5, 5, 1.0)], [Progress(True, 25, 25, 1.5)]).us_per_event == 25_000


def test_a_slot_changes_models_once_a_stream_and_slots_do_so_at_different_times() -> None:
    texts = [[("q", "before")], [("q", "after")]]
    firsts = []
    for number in range(SLOTS):
        events = list(islice(_slot(number, texts), 3 * (BEFORE + AFTER)))
        whole = [event for event in events if event[1] == f"slot-{number}-1/answer"]
        assert [output for _, _, (_, output), _ in whole] == ["before"] * BEFORE + ["after"] * AFTER
        assert [changed for *_, changed in whole] == [False] * BEFORE + [True] * AFTER
        assert len({event_id for event_id, *_ in events}) == len(events)
        firsts.append(events.index(whole[BEFORE]))
    assert len(set(firsts)) == SLOTS
