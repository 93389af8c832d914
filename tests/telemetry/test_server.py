from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from monitor.errors import ConfigError
from monitor.telemetry.server import Health, MetricsServer, worker_health, worker_registry
from tests.telemetry.numbers import Numbers, busy


def get(server: MetricsServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def serve(numbers: Numbers, now: float = 0.0) -> MetricsServer:
    registry = worker_registry(numbers, version="1", max_streams=10, max_series=100)
    return MetricsServer(registry, lambda: worker_health(numbers, now), host="127.0.0.1", port=0)


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


@pytest.mark.parametrize(
    ("ready", "still", "reason"), [(False, 0.0, "starting"), (True, 121.0, "no progress for 121 s")]
)
def test_a_worker_that_does_not_work_is_unhealthy_and_says_why(ready: bool, still: float, reason: str) -> None:
    numbers = busy()
    numbers.ready = ready
    with serve(numbers, now=numbers.progress_at + still) as server:
        status, text = get(server, "/healthz")
    assert status == 503
    assert json.loads(text)["reason"].startswith(reason)


def test_a_port_that_is_taken_is_told_with_what_to_change() -> None:
    registry = worker_registry(Numbers(), version="1", max_streams=1, max_series=1)
    with serve(Numbers()) as server, pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+: .*set metrics.port"):
        MetricsServer(registry, lambda: Health(True, "ok"), host="127.0.0.1", port=server.port)
