"""What the metrics say of calls: from events, in bounded number."""

from __future__ import annotations

from monitor.events.schema import Call, Latency, OutputEvent
from monitor.telemetry.call_stats import MAX_DEPENDENCIES, OTHER, CallStats
from monitor.telemetry.worker_stats import WorkerStats


def event(*calls: Call, total_s: float | None = None, error: str | None = None) -> OutputEvent:
    output = None if error else "fine"
    return OutputEvent(stream="s", output=output, error=error, latency=Latency(total_s=total_s), calls=list(calls))


def test_calls_are_counted_by_dependency_and_outcome() -> None:
    stats = WorkerStats()
    CallStats.of(
        [
            event(
                Call(dependency="orders", status=200, duration_s=0.1),
                Call(dependency="orders", status=500),
                total_s=2.0,
            ),
            event(Call(dependency="search", error="time-out", duration_s=5.0)),
            event(error="overloaded"),
        ]
    ).add_to(stats)
    assert stats.call_errors == 1
    assert stats.call_seconds.total == 2.0
    assert stats.dependency_calls == {("orders", "ok"): 1, ("orders", "failed"): 1, ("search", "failed"): 1}
    assert stats.dependency_seconds["orders"].total == 0.1
    assert stats.dependency_seconds["search"].total == 5.0


def test_names_beyond_the_cap_are_counted_together_and_known_ones_stay() -> None:
    stats = WorkerStats()
    CallStats.of(event(Call(dependency=f"d{number:03}")) for number in range(MAX_DEPENDENCIES + 7)).add_to(stats)
    CallStats.of([event(Call(dependency="d000")), event(Call(dependency="new", duration_s=1.0))]).add_to(stats)
    names = {name for name, _ in stats.dependency_calls}
    assert len(names) == MAX_DEPENDENCIES + 1
    assert stats.dependency_calls[OTHER, "ok"] == 8
    assert stats.dependency_calls["d000", "ok"] == 2
    assert set(stats.dependency_seconds) == {OTHER}
    assert sum(stats.dependency_calls.values()) == MAX_DEPENDENCIES + 9
