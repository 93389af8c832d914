"""`/metrics`, `/healthz` and `/readyz` of one worker, on a separate thread.

`/healthz` asks whether starting the worker again would help, `/readyz` whether it watches its streams now. While Kafka
is away a worker is healthy and not ready: nothing but Kafka's return would help.

May import `monitor.detection` and below.
"""

from __future__ import annotations

import errno
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_wsgi_app

from monitor.errors import ConfigError
from monitor.telemetry.collectors import StreamCollector, WorkerCollector
from monitor.telemetry.worker_stats import WorkerStats

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STALLED_AFTER_S = 120.0
"""Without a batch and without an idle moment for this long the worker is not ready; rebalances of Faust and a slow
embedding stay well below."""
BEHIND_S = 60.0
"""A worker that applies events older than this is catching up."""


class PortTakenError(ConfigError):
    """Another process listens on the port that the metrics were to have."""


class Health(NamedTuple):
    """Whether the worker lives, and if not, why. What is not healthy should be started again."""

    healthy: bool
    reason: str


class Readiness(NamedTuple):
    """Whether the worker does its work, and if not, why; and where it stands.

    `partitions` and `lag` (messages not yet applied) are by topic, `behind_seconds` (age of the oldest event that has
    come and is not applied) by stage.
    """

    ready: bool
    reason: str
    partitions: Mapping[str, int]
    lag: Mapping[str, int]
    behind_seconds: Mapping[str, float]
    last_progress_seconds: float | None


def worker_health(suspicion: str | None) -> Health:
    """Healthy is a worker of which no part looks stuck."""
    return Health(suspicion is None, suspicion or "ok")


def worker_readiness(stats: WorkerStats, now: float) -> Readiness:
    """Ready is a worker that has its partitions, hears from Kafka, moved lately and is not catching up.

    `now` is in seconds since 1970.
    """
    still = now - stats.progress_at if stats.progress_at else None
    late = {stage: seconds for stage, seconds in dict(stats.behind_s).items() if seconds > BEHIND_S}
    if not stats.assigned:
        reason = "partitions are not assigned or their state is not restored"
    elif stats.kafka_silent:
        reason = "Kafka does not answer"
    elif still is not None and still > STALLED_AFTER_S:
        reason = f"no progress for {still:.0f} s"
    elif stats.store_error is not None:
        reason = f"the trace store does not answer; its outputs wait in the log: {stats.store_error}"
    elif stats.evaluators_away:
        away = "; ".join(f"{name}: {why}" for name, why in sorted(stats.evaluators_away.items()))
        reason = f"evaluators give no verdicts; judgments wait or are missing: {away}"
    elif late:
        reason = "catching up: " + ", ".join(f"{stage} is {late[stage]:.0f} s behind" for stage in sorted(late))
    else:
        reason = "ok"
    lag = dict(stats.lag)
    waiting: Counter[str] = Counter()
    for (topic, _), messages in lag.items():
        waiting[topic] += messages
    return Readiness(
        ready=reason == "ok",
        reason=reason,
        partitions=Counter(topic for topic, _ in lag),
        lag=waiting,
        behind_seconds={stage: round(seconds, 1) for stage, seconds in dict(stats.behind_s).items()},
        last_progress_seconds=None if still is None else round(still, 1),
    )


def worker_registry(stats: WorkerStats, *, version: str, max_streams: int, max_series: int) -> CollectorRegistry:
    """A new registry with the worker's metrics, its streams', and those of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(stats, version))
    registry.register(StreamCollector(lambda: stats.statuses, max_streams=max_streams, max_series=max_series))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class MetricsServer:
    """Serves `registry` at `/metrics`, `health` at `/healthz` and `readiness` at `/readyz` until closed.

    The latter two answer with 200, or 503 where it is not so, and JSON that says why.

    Parameters
    ----------
    registry
        What to export.
    health, readiness
        Asked at each request, from the server's threads.
    host, port
        Where to listen; port 0 takes a free one, see `port`. Raises `PortTakenError` where another process listens
        there, another `ConfigError` where it cannot listen for another reason.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        health: Callable[[], Health],
        *,
        readiness: Callable[[], Readiness],
        host: str,
        port: int,
    ) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health
        self._readiness = readiness
        try:
            self._server = make_server(host, port, self._answer, _Server, _Handler)
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            raise (PortTakenError if taken else ConfigError)(
                f"metrics cannot listen on {host}:{port}: {error}; set metrics.port or metrics.host"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="oqm-metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path == "/healthz":
            health = self._health()
            return _said(start_response, health.healthy, health._asdict())
        if path == "/readyz":
            readiness = self._readiness()
            return _said(start_response, readiness.ready, readiness._asdict())
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"try /metrics, /healthz or /readyz\n"]


def _said(start_response: StartResponse, well: bool, what: Mapping[str, Any]) -> list[bytes]:
    start_response("200 OK" if well else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [json.dumps(what).encode() + b"\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Says nothing: a line for each scrape is noise in the log of alerts."""

    timeout = 30  # a client that says nothing holds a thread no longer

    def log_message(self, format: str, *args: Any) -> None:
        return
