"""`oqm worker`: featurize, detect and notify, running until stopped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import ConfigFile
from monitor.errors import ConfigError, OqmError
from monitor.telemetry.logs import LogFormat, set_up_logging

log = logging.getLogger(__name__)

EXIT_ERROR = 2
"""As of every command: wrong input, configuration or broker."""


class Role(StrEnum):
    """What a worker does."""

    ALL = "all"
    FEATURIZE = "featurize"
    DETECT = "detect"
    NOTIFY = "notify"
    STORE = "store"
    JUDGE = "judge"


class LogLevel(StrEnum):
    """Lowest level of the lines that the worker logs on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Roles = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Which stages to run; repeatable. All by default.", show_default=False),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        metavar="N",
        envvar="OQM_METRICS_PORT",
        help="Port of /metrics; 0: none. Takes precedence over the file. Without either: the next free port from 9464.",
        show_default=False,
    ),
]
MetricsHost = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        envvar="OQM_METRICS_HOST",
        help="Address of /metrics; 0.0.0.0 in a container. Takes precedence over the file.",
        show_default=False,
    ),
]
SessionTimeout = Annotated[
    float,
    typer.Option(
        min=1, metavar="SECONDS", help="After this long without contact another worker takes over the partitions."
    ),
]
Level = Annotated[LogLevel, typer.Option(help="Lowest level of log lines on stderr.")]
Format = Annotated[LogFormat, typer.Option(envvar="OQM_LOG_FORMAT", help="Text, or one JSON object per line.")]


@with_connection
def command(
    connection: Connection,
    role: Roles = None,
    config: ConfigFile = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    session_timeout: SessionTimeout = 60.0,
    log_level: Level = LogLevel.INFO,
    log_format: Format = LogFormat.TEXT,
) -> None:
    """Run featurize, detect, notify, or some of them, until SIGTERM or Ctrl-C.

    Also store, where the settings have one, and judge, where a criterion has an evaluator.

    The topics must exist (`oqm topics`). Exits with code 2 where continuing would lose or repeat data; after a restart
    it continues where it stopped. SIGHUP reads the configuration file again; the log says which changes need a restart.
    """
    from monitor.settings import Settings
    from monitor.settings.checks import load_checked
    from pipelines.roles import Role as WorkerRole
    from pipelines.worker import run_worker

    if metrics_host is not None and not metrics_host.strip():
        raise ConfigError("--metrics-host is empty: give an address, or leave the option out to use the file's")

    def read() -> tuple[Settings, list[str]]:
        found, warnings = load_checked(config)
        host = {"host": metrics_host} if metrics_host is not None else {}
        found = connection.over(found.model_copy(update={"metrics": found.metrics.model_copy(update=host)}))
        return found, warnings

    set_up_logging(log_level.value, log_format)
    with errors_in_the_log(log_format):
        settings, warnings = read()
        for warning in warnings:
            log.warning("%s", warning)
        chosen = {Role.ALL} if not role else set(role)
        if Role.STORE in chosen and not settings.store.location:
            raise ConfigError("--role store: the settings have no trace store; set store.location")
        if Role.JUDGE in chosen and not settings.judged:
            raise ConfigError("--role judge: no criterion has an evaluator; add one to streams[].criteria")
        roles = [one for one in WorkerRole if Role.ALL in chosen or Role(one.value) in chosen]
        run_worker(
            settings,
            roles,
            metrics_port=metrics_port,
            session_timeout_s=session_timeout,
            reread=read if config is not None else None,
        )


@contextmanager
def errors_in_the_log(log_format: LogFormat) -> Iterator[None]:
    """With a JSON log, the error that ends the worker is a JSON line as well, not a line for people."""
    try:
        yield
    except OqmError as error:
        if log_format is LogFormat.TEXT:
            raise
        log.error("%s", error)
        raise typer.Exit(EXIT_ERROR) from error
