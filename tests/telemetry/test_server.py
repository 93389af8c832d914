from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from monitor.errors import ConfigError
from monitor.telemetry.server import Health, MetricsServer, worker_health, worker_readiness, worker_registry
from monitor.telemetry.worker_stats import WorkerStats
from tests.telemetry.numbers import busy


def get(server: MetricsServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def serve(numbers: WorkerStats, now: float = 0.0, suspicion: str | None = None) -> MetricsServer:
    return MetricsServer(
        worker_registry(numbers, version="1", max_streams=10, max_series=100),
        lambda: worker_health(suspicion),
        readiness=lambda: worker_readiness(numbers, now),
        host="127.0.0.1",
        port=0,
    )


def test_metrics_and_health_are_served() -> None:
    numbers = busy()
    with serve(numbers, now=numbers.progress_at + 1) as server:
        status, text = get(server, "/metrics")
        assert status == 200
        assert "oqm_events_total 12.0" in text
        assert "process_cpu_seconds_total" in text
        assert get(server, "/healthz") == (200, '{"healthy": true, "reason": "ok"}\n')
        assert get(server, "/nothing")[0] == 404
        server.close()


def test_a_ready_worker_says_where_it_stands() -> None:
    numbers = busy()
    numbers.lag = {("oqm.outputs", 0): 7, ("oqm.outputs", 3): 2, ("oqm.alerts", 0): 0}
    with serve(numbers, now=numbers.progress_at + 1) as server:
        status, text = get(server, "/readyz")
    assert status == 200
    assert json.loads(text) == {
        "ready": True,
        "reason": "ok",
        "partitions": {"oqm.outputs": 2, "oqm.alerts": 1},
        "lag": {"oqm.outputs": 9, "oqm.alerts": 0},
        "behind_seconds": {"featurize": 0.2},
        "last_progress_seconds": 1.0,
    }


@pytest.mark.parametrize(
    ("change", "still", "reason"),
    [
        ({"assigned": False}, 0.0, "partitions are not assigned or their state is not restored"),
        ({"kafka_silent": True}, 0.0, "Kafka does not answer"),
        ({}, 121.0, "no progress for 121 s"),
        (
            {"behind_s": {"featurize": 75.0, "detect": 61.0, "notify": 1.0}},
            0.0,
            "catching up: detect is 61 s behind, featurize is 75 s behind",
        ),
    ],
)
def test_a_worker_that_does_not_watch_is_not_ready_and_says_why_but_lives(
    change: dict[str, Any], still: float, reason: str
) -> None:
    numbers = replace(busy(), **change)
    with serve(numbers, now=numbers.progress_at + still) as server:
        status, text = get(server, "/readyz")
        assert get(server, "/healthz")[0] == 200
    assert status == 503
    assert json.loads(text)["reason"] == reason


def test_a_worker_that_looks_stuck_is_not_healthy() -> None:
    with serve(busy(), suspicion="no progress for 150 s: the event loop") as server:
        status, text = get(server, "/healthz")
    assert status == 503
    assert json.loads(text) == {"healthy": False, "reason": "no progress for 150 s: the event loop"}


def test_a_port_that_is_taken_is_told_with_what_to_change() -> None:
    registry = worker_registry(WorkerStats(), version="1", max_streams=1, max_series=1)
    with serve(WorkerStats()) as server, pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+: .*set metrics.port"):
        MetricsServer(
            registry,
            lambda: Health(True, "ok"),
            readiness=lambda: worker_readiness(WorkerStats(), 0.0),
            host="127.0.0.1",
            port=server.port,
        )
