"""`/metrics` and `/healthz` of one worker, on a thread of its own.

May import `monitor.detection` and below.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_wsgi_app

from monitor.errors import ConfigError
from monitor.telemetry.collectors import StreamCollector, WorkerCollector, WorkerNumbers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STALLED_AFTER_S = 120.0
"""No batch and no idle moment for so long: Faust's own rebalances and a slow embedding stay well below."""


class Health(NamedTuple):
    """Whether the worker does its work, and if not, why."""

    healthy: bool
    reason: str


def worker_health(numbers: WorkerNumbers, now: float, stalled_after_s: float = STALLED_AFTER_S) -> Health:
    """Healthy is a worker that has its partitions and moved lately; `now` is in seconds since 1970."""
    if not numbers.ready:
        return Health(False, "starting: partitions are not assigned or their state is not restored")
    still = now - numbers.progress_at
    if still > stalled_after_s:
        return Health(False, f"no progress for {still:.0f} s")
    return Health(True, "ok")


def worker_registry(numbers: WorkerNumbers, *, version: str, max_streams: int, max_series: int) -> CollectorRegistry:
    """A new registry with the worker's metrics, its streams', and those of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(numbers, version))
    registry.register(StreamCollector(lambda: numbers.statuses, max_streams=max_streams, max_series=max_series))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class MetricsServer:
    """Serves `registry` at `/metrics` and `health` at `/healthz` (200, or 503 with the reason) until closed.

    Parameters
    ----------
    registry
        What to export.
    health
        Asked at each request, from the server's threads.
    host, port
        Where to listen; port 0 takes a free one, see `port`.
    """

    def __init__(self, registry: CollectorRegistry, health: Callable[[], Health], *, host: str, port: int) -> None:
        self._metrics = make_wsgi_app(registry)
        self._health = health
        try:
            self._server = make_server(host, port, self._answer, _Server, _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
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
            start_response("200 OK" if health.healthy else "503 Service Unavailable", [_JSON])
            return [json.dumps(health._asdict()).encode() + b"\n"]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"try /metrics or /healthz\n"]


_JSON = ("Content-Type", "application/json")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Says nothing: a line for each scrape is noise in the log of alerts."""

    timeout = 30  # a client that says nothing holds a thread no longer

    def log_message(self, format: str, *args: Any) -> None:
        return
