"""The server of a worker's metrics and probes, on the port asked for or, where nobody chose one, the next free one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from monitor.settings import Metrics
from monitor.telemetry.server import (
    Health,
    MetricsServer,
    PortTakenError,
    Readiness,
    worker_health,
    worker_readiness,
    worker_registry,
)
from monitor.telemetry.worker_stats import WorkerStats

log = logging.getLogger(__name__)

PORTS_TO_TRY = 32
"""From the default port on: more workers than one machine has cores for."""
LARGEST_PORT = 65_535  # of TCP


@dataclass(frozen=True)
class MetricsPort:
    """Where `/metrics`, `/healthz` and `/readyz` are served.

    `port` 0: nowhere. `or_next_free`: on the next free port where another process listens on `port`.
    """

    port: int = 0
    or_next_free: bool = False


def installed_version() -> str:
    """The version of this package, for the metric that says it."""
    try:
        return metadata.version("output-quality-monitor")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def open_metrics_server(
    where: MetricsPort,
    options: Metrics,
    stats: WorkerStats,
    suspicion: Callable[[], str | None],
    clock: Callable[[], float],
) -> MetricsServer:
    """Serve a worker's metrics and probes until the result is closed.

    `suspicion` says what looks stuck, or None; `clock` gives seconds since 1970. Raises `PortTakenError` where no port
    is free.
    """
    registry = worker_registry(
        stats, version=installed_version(), max_streams=options.max_streams, max_series=options.max_series
    )

    def health() -> Health:
        return worker_health(suspicion())

    def readiness() -> Readiness:
        return worker_readiness(stats, clock())

    last = min(where.port + PORTS_TO_TRY - 1, LARGEST_PORT) if where.or_next_free else where.port
    for port in range(where.port, last + 1):
        try:
            server = MetricsServer(registry, health, readiness=readiness, host=options.host, port=port)
        except PortTakenError:
            if port == last:
                raise
            continue
        if port != where.port:
            log.warning("port %d is taken: metrics are on port %d", where.port, port)
        log.info("metrics on http://%s:%d/metrics", options.host, server.port)
        return server
    raise AssertionError("unreachable: the last port either serves or raises")
