"""`oqm worker`: the agents, running until stopped."""

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

EXIT_ERROR = 2  # as of every command: wrong input, configuration or broker


class Role(StrEnum):
    """What a worker does."""

    ALL = "all"
    FEATURIZE = "featurize"
    DETECT = "detect"
    NOTIFY = "notify"
    STORE = "store"


class LogLevel(StrEnum):
    """How much the worker says on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@with_connection
def command(
    connection: Connection,
    role: Annotated[
        list[Role] | None,
        typer.Option("--role", help="Which agents to run; repeatable. All by default.", show_default=False),
    ] = None,
    config: ConfigFile = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="N",
            envvar="OQM_METRICS_PORT",
            help="Port of /metrics; 0 for none. Wins over the file; without either, the next free one from 9464 on.",
            show_default=False,
        ),
    ] = None,
    metrics_host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="OQM_METRICS_HOST",
            help="Address of /metrics; 0.0.0.0 in a container. Wins over the file.",
            show_default=False,
        ),
    ] = None,
    session_timeout: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="How long the partitions of a worker that died wait for another."),
    ] = 60.0,
    log_level: Annotated[LogLevel, typer.Option(help="How much to say on stderr.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="OQM_LOG_FORMAT", help="Lines for people, or a JSON object a line.")
    ] = LogFormat.TEXT,
) -> None:
    """Run the agents until SIGTERM or Ctrl-C: featurize, detect, notify, and store where the settings have a
    trace store; or some of them.

    The topics must be there (`oqm topics`). Stops with exit code 2 where going on would do harm; started again, it goes
    on where it was. SIGHUP reads the configuration file again; the log says what of it needs a restart.
    """
    from monitor.settings import Settings
    from monitor.settings.checks import load_checked
    from pipelines.roles import Role as WorkerRole
    from pipelines.worker import run_worker

    if metrics_host is not None and not metrics_host.strip():
        raise ConfigError("--metrics-host is empty: give an address, or leave the option out for the file's")

    def read() -> tuple[Settings, list[str]]:
        found, warnings = load_checked(config)
        host = {"host": metrics_host} if metrics_host is not None else {}
        found = connection.over(found.model_copy(update={"metrics": found.metrics.model_copy(update=host)}))
        return found, warnings

    set_up_logging(log_level.value, log_format)
    with _errors_in_the_log(log_format):
        settings, warnings = read()
        for warning in warnings:
            log.warning("%s", warning)
        chosen = {Role.ALL} if not role else set(role)
        if Role.STORE in chosen and not settings.store.location:
            raise ConfigError("--role store: the settings have no trace store; set store.location")
        roles = [one for one in WorkerRole if Role.ALL in chosen or Role(one.value) in chosen]
        run_worker(
            settings,
            roles,
            metrics_port=metrics_port,
            session_timeout_s=session_timeout,
            reread=read if config is not None else None,
        )


@contextmanager
def _errors_in_the_log(log_format: LogFormat) -> Iterator[None]:
    """Where the log is JSON, what ends the worker is a line of it too, and not one for people beside it."""
    try:
        yield
    except OqmError as error:
        if log_format is LogFormat.TEXT:
            raise
        log.error("%s", error)
        raise typer.Exit(EXIT_ERROR) from error
