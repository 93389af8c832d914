"""HTTP to the monitor: kept connections, and a limit for the whole exchange.

Called by `monitor.gate.client`, from any thread. Standard library only. Raises `Unreachable` and `TimedOut`; what the
monitor says, problems included, is returned as it is.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from monitor.errors import ConfigError, OqmError

MAX_IDLE = 8  # connections that are kept: one for each thread that asks at the same time in a usual application
MAX_ANSWER_BYTES = 8 * 2**20  # eight times the largest body that the monitor takes; more is not the monitor


class Unreachable(OqmError):
    """The monitor cannot be reached, or what answers is not the monitor. It may have read the request all the same."""


class TimedOut(Unreachable):
    """The monitor did not answer in time."""


class Reply(NamedTuple):
    """An answer of the monitor; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Requests to one monitor.

    Parameters
    ----------
    url
        `https://monitor.example:8086`, with a path in front of `/v1` if a proxy adds one. Raises `ConfigError`.
    token
        Sent as `Authorization: Bearer`.
    ca_file
        Certificates to trust in place of the system's.
    """

    def __init__(self, url: str, token: str, ca_file: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"Gate(url={url!r}): must be a URL such as https://monitor.example:8086")
        if not token or not token.isascii() or not token.isprintable():
            raise ConfigError("Gate(token=...): must be the secret that `oqm token create` printed")
        try:
            self._port = parts.port
        except ValueError:
            raise ConfigError(f"Gate(url={url!r}): the port must be between 0 and 65535") from None
        self._host, self._path = parts.hostname, parts.path.rstrip("/")
        try:
            self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        except OSError as error:
            raise ConfigError(f"Gate(ca_file={ca_file!r}): cannot be read: {error.strerror or error}") from None
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def request(
        self, method: str, path: str, body: bytes | None, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Reply:
        """The answer. A request is sent again where a kept connection turned out to be closed, so it must bear that."""
        until = time.monotonic() + timeout_s
        connection = self._kept()
        if connection is not None:
            try:
                return self._exchange(connection, method, path, body, headers, until)
            except (http.client.RemoteDisconnected, ConnectionError):
                pass  # the monitor closed it while it was idle: a new one says whether the monitor is there
        return self._exchange(self._new(), method, path, body, headers, until)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str] | None,
        until: float,
    ) -> Reply:
        kept = connection.sock is not None
        try:
            if connection.sock is None:
                connection.timeout = _left(until)
                connection.connect()
                connection.sock = _Limited(connection.sock)
            limited: Any = connection.sock
            limited.until = until
            sent = {**self._headers, **(headers or {})}
            if body is not None:
                sent["Content-Type"] = "application/json"
            connection.request(method, self._path + path, body, sent)
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES + 1)
            if len(content) > MAX_ANSWER_BYTES:
                raise Unreachable(f"{self._host} sent more than {MAX_ANSWER_BYTES:,} bytes")
            reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise TimedOut(f"{self._host} did not answer in time") from None
            if kept and isinstance(error, (http.client.RemoteDisconnected, ConnectionError)):
                raise
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise Unreachable(f"{self._host}: {error or type(error).__name__}") from error
            raise
        if answer.will_close:
            connection.close()
        else:
            self._keep(connection)
        return reply

    def _new(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port)

    def _kept(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the kept connections. Later requests open new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def forget(self) -> None:
        """After a fork: the parent's connections are the parent's."""
        self._idle, self._lock = [], threading.Lock()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Limited:
    """A socket whose every wait ends at `until`: time-outs of sockets are for one wait, and an exchange has many."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.until = 0.0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(_left(self.until))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def receive(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self.until))
        received: int = self._sock.recv_into(buffer)
        return received

    def close(self) -> None:
        self._sock.close()


class _Incoming(io.RawIOBase):
    def __init__(self, limited: _Limited) -> None:
        self._limited = limited

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._limited.receive(buffer)
