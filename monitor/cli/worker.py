"""`oqm worker`: the agents, running until stopped."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import Annotated

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.options import ConfigFile


class Role(StrEnum):
    """What a worker does."""

    ALL = "all"
    FEATURIZE = "featurize"
    DETECT = "detect"
    NOTIFY = "notify"


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
            min=0, max=65535, metavar="N", help="Port of /metrics; 0 for none. Wins over the file.", show_default=False
        ),
    ] = None,
    session_timeout: Annotated[
        float,
        typer.Option(min=1, metavar="SECONDS", help="How long the partitions of a worker that died wait for another."),
    ] = 60.0,
    log_level: Annotated[LogLevel, typer.Option(help="How much to say on stderr.")] = LogLevel.INFO,
) -> None:
    """Run the agents until SIGTERM or Ctrl-C: featurize, detect and notify, or some of them.

    The topics must be there (`oqm topics`). Stops with exit code 2 where going on would do harm; started again, it goes
    on where it was.
    """
    from monitor.settings import load_settings
    from pipelines import worker

    settings = connection.over(load_settings(config))
    chosen = {Role.ALL} if not role else set(role)
    roles = [one for one in worker.Role if Role.ALL in chosen or Role(one.value) in chosen]
    set_up_logging(log_level)
    worker.run_worker(settings, roles, metrics_port=metrics_port, session_timeout_s=session_timeout)


def set_up_logging(level: LogLevel) -> None:
    """Log lines on stderr; the libraries below say only what is wrong."""
    logging.basicConfig(
        level=getattr(logging, level.name), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if level is not LogLevel.DEBUG:
        for library in ("aiokafka", "kafka", "faust", "mode", "httpx"):
            logging.getLogger(library).setLevel(logging.WARNING)
