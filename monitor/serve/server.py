"""Runs the application: uvicorn in this process, or in several that share one port."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from monitor.errors import ConfigError
from monitor.serve.process_counts import FOLDER_VARIABLE
from monitor.serve.slow_heads import limited
from monitor.settings.serve import Serve

log = logging.getLogger(__name__)

BACKLOG = 1_024  # connections that wait to be accepted; the kernel's own limit is 4,096


def run_server(make_app: Callable[[], ASGIApp], settings: Serve, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the requests in flight.

    Parameters
    ----------
    make_app
        Makes the application; with several processes it is called in each, so it must be picklable.
    settings
        Of the section `serve`.
    ready
        Called with the URL, once connections are accepted.

    Raises `ConfigError` where it cannot listen, or cannot read its certificate.
    """
    _check_certificate(settings)
    listener = _listener(settings.host, settings.port)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    ready(f"{'https' if settings.cert_file else 'http'}://{host}:{port}")
    config = partial(
        uvicorn.Config,
        make_app,
        factory=True,
        http=limited(settings.limits.header_timeout),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=max(1, round(settings.graceful_stop)),
        ssl_certfile=settings.cert_file,
        ssl_keyfile=settings.key_file,
    )
    with listener:
        if settings.processes == 1:
            _run_one(config(), listener)
        else:
            _run_several(config, settings, listener)


def _run_one(config: uvicorn.Config, listener: socket.socket) -> None:
    # uvicorn raises the signal again after its graceful stop; a stop that was asked for is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run([listener])


def _run_several(config: Callable[..., uvicorn.Config], settings: Serve, listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="oqm-serve-") as folder:
        os.environ[FOLDER_VARIABLE] = folder
        Multiprocess(config(workers=settings.processes), [listener]).run()


def _check_certificate(settings: Serve) -> None:
    if settings.cert_file is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:  # also what is no certificate: ssl.SSLError is one
        files = f"serve.cert_file {settings.cert_file} and serve.key_file {settings.key_file}"
        raise ConfigError(f"{files}: cannot be used: {error.strerror or error}") from None


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # The protocol by its name: asyncio sets TCP_NODELAY on such sockets only, and without it an answer takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        why = error.strerror or error
        where = "set serve.host and serve.port, or --host and --port"
        raise ConfigError(f"serve cannot listen on {host}:{port}: {why}; {where}") from None
    return listener
