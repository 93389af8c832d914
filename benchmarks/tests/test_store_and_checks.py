"""The events and checks that the benchmarks of the store and of checks measure are what their tables say."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import checks, store
from monitor.store.open import open_store
from monitor.store.query import Search


def test_every_event_of_the_benchmark_is_stored(tmp_path: Path) -> None:
    given = store.messages(50, "outputs")
    found = store.in_memory(str(tmp_path / "traces"), given)
    assert set(found) == {"rate", "quickest", "rows", "write"}
    traces = open_store(str(tmp_path / "traces"), read_only=True)
    stored = traces.search(Search(limit=100))
    traces.close()
    assert len(stored) == 50
    assert stored[0].fields["calls"][0]["response"] == {"hits": [1, 2, 3]}
    assert 1_500 < sum(len(message.value) for _, message in given) / 50 < 2_500


def test_one_output_in_ten_breaks_a_check() -> None:
    events = checks.outputs(100)
    promised = [event for event in events if "Promise" in json.loads(event.output or "{}")["note"]]
    assert len(promised) == 10
    assert checks.Alone(events).cost(checks.FIVE) > 0
