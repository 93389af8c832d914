"""`oqm serve`: the HTTP service, running until stopped."""

from __future__ import annotations

import logging
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.ledger_option import LedgerOption, ledger_address
from monitor.cli.options import ConfigFile
from monitor.cli.worker import Format, Level, LogLevel, errors_in_the_log
from monitor.errors import ConfigError
from monitor.telemetry.logs import LogFormat, set_up_logging

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from monitor.serve.context import Services
    from monitor.settings import Settings

log = logging.getLogger(__name__)


@with_connection
def command(
    connection: Connection,
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", envvar="OQM_SERVE_HOST", help="Address to listen on.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="N", envvar="OQM_SERVE_PORT", help="Port; 0: a free one.", show_default=False
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Processes that share the port.", show_default=False),
    ] = None,
    ledger: LedgerOption = None,
    config: ConfigFile = None,
    log_level: Level = LogLevel.INFO,
    log_format: Format = LogFormat.TEXT,
) -> None:
    """Serve the HTTP API: gate, actions, approvals, reviews, quality, traces; until SIGTERM or Ctrl-C.

    Options take precedence over the section `serve` of the settings. Requests in flight are finished before it ends.
    Who may ask what: `oqm token create`. The API describes itself at /openapi.json.
    """
    from monitor.ledger.open import open_ledger
    from monitor.serve.server import run_server
    from monitor.settings.checks import load_checked

    set_up_logging(log_level.value, log_format)
    with errors_in_the_log(log_format):
        if host is not None and not host.strip():
            raise ConfigError("--host is empty: give an address, or leave the option out to use the file's")
        settings, warnings = load_checked(config)
        for warning in warnings:
            log.warning("%s", warning)
        given = {"host": host, "port": port, "processes": processes, "database": ledger_address(settings, ledger)}
        serve = settings.serve.model_copy(update={name: value for name, value in given.items() if value is not None})
        settings = connection.over(settings.model_copy(update={"serve": serve}))
        # Here and not in the processes: a database that cannot be opened is one line, and its schema is made once.
        first = open_ledger(serve.database)
        try:
            no_tokens = not first.token_list()
        finally:
            first.close()

        def ready(url: str) -> None:
            log.info("listening on %s", url)
            if no_tokens:
                log.warning("there is no token yet, so every request is refused: oqm token create NAME --scope read")
            if serve.cert_file is None and not _is_local(serve.host):
                log.warning("tokens travel readable for everyone on the way: set serve.cert_file, or put TLS in front")

        run_server(partial(_app, settings, log_level.value, log_format), serve, ready)
        log.info("stopped")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _app(settings: Settings, log_level: str, log_format: LogFormat) -> ASGIApp:
    """The ASGI application of one process. A module-level function, so that other processes can call it by name."""
    return application(settings, log_level, log_format)[1]


def application(settings: Settings, log_level: str, log_format: LogFormat) -> tuple[Services, ASGIApp]:
    """The application of one process, and what it works with."""
    from monitor.ledger.open import open_ledger
    from monitor.publisher import OutputPublisher
    from monitor.serve.app import build_app
    from monitor.serve.context import Services
    from monitor.serve.parts import add_parts
    from monitor.serve.traces import Traces
    from pipelines.courier.courier import Courier
    from pipelines.kafka.connection import client_options

    set_up_logging(log_level, log_format)  # a process that was spawned has none yet
    options: dict[str, Any] = client_options(settings.broker)
    services = Services(
        settings=settings,
        ledger=open_ledger(settings.serve.database),
        traces=Traces(settings.store.location) if settings.store.location else None,
        publisher=OutputPublisher(
            options.pop("bootstrap_servers"),
            settings.topics.outputs.name,
            kafka=options,
            feedback_topic=settings.topics.feedback.name,
            strict=True,
        ),
    )
    add_parts(services)
    services.parts[Courier] = Courier(services.ledger, settings.broker, settings.topics, services.clock)
    return services, build_app(services)
