from __future__ import annotations

from itertools import islice

from benchmarks.alert_latency import AFTER, BEFORE, SLOTS, _slot
from benchmarks.load import Progress, between


def test_what_several_workers_did_between_two_moments_is_added_up() -> None:
    before = [Progress(True, 10, 8, 1.0, {"detect": 0.5}), Progress(True, 0, 0, 2.0, {"detect": 0.0})]
    after = [Progress(True, 30, 28, 1.5, {"detect": 0.6}), Progress(True, 20, 20, 2.5, {"detect": 0.3})]
    done = between("monitor", before, after)
    assert (done.events, done.cpu_s, round(done.stages["detect"], 6)) == (40, 1.0, 0.4)
    assert done.us_per_event == 25_000
    assert done.events_per_core == 40


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
