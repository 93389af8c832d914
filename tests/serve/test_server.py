"""`oqm serve` as a process of its own: slow clients, the end with requests in flight, several processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from monitor.errors import ConfigError
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.serve.server import _listener, run_server
from monitor.settings.serve import Serve
from tests.cli.run_oqm import one_line_of_error, oqm
from tests.serve.conftest import CLAIM, Tokens, bearer, proposed
from tests.servers import free_port

LIMITS = "serve:\n  limits: {header_timeout: 1s, body_timeout: 1s, body_bytes: 4096}\n  graceful_stop: 10s\n"


class Served:
    """A running `oqm serve`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def serving(folder: Path, ledger: str, *options: str) -> Iterator[Served]:
    port, config, log = free_port(), folder / "monitor.yaml", folder / "serve.log"
    config.write_text(LIMITS)
    command = [sys.executable, "-m", "monitor.cli", "serve", "--ledger", ledger, "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--config", str(config), *options],
            stdout=output,
            stderr=output,
            env={**os.environ, "OQM_BROKER": "127.0.0.1:1"},
        )
    served = Served(process, port, log)
    try:
        limit = time.monotonic() + 60
        while not _answers(served.url):
            assert process.poll() is None, served.log
            assert time.monotonic() < limit, served.log
            time.sleep(0.05)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    found = b""
    while part := connection.recv(65_536):
        found += part
    return found


def head(secret: dict[str, str], length: int) -> bytes:
    lines = ["POST /v1/actions/refund:4711/claim HTTP/1.1", "Host: oqm", f"Content-Length: {length}"]
    return "\r\n".join([*lines, f"Authorization: {secret['Authorization']}", "", ""]).encode()


def test_slow_clients_are_cut_off_and_a_stop_finishes_what_is_in_flight(
    tmp_path: Path, ledger: Ledger, tokens: Tokens
) -> None:
    bot = tokens("act", app="shop")
    proposed(ledger)
    body = httpx.Request("POST", "http://x", json=CLAIM).content
    with serving(tmp_path, str(tmp_path / "ledger")) as served:
        with served.connect() as silent, served.connect() as slow_head, served.connect() as slow_body:
            slow_head.sendall(b"GET /healthz HTTP/1.1\r\nHost: oqm\r\nX-A")
            slow_body.sendall(head(bot, len(body)) + body[:5])
            assert received(silent) == received(slow_head) == b""
            answer = received(slow_body)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"application/problem+json" in answer
        with served.connect() as too_large:
            too_large.sendall(head(bot, 5_000))
            assert received(too_large).startswith(b"HTTP/1.1 413 ")
        with served.connect() as unread:
            # Refused before its body has come: the connection ends, or it could be held open byte by byte.
            unread.sendall(head(bearer("wrong"), 4_000) + b"{")
            assert received(unread).startswith(b"HTTP/1.1 401 ")
        with served.connect() as injected:
            injected.sendall(b"GET /healthz HTTP/1.1\r\nHost: oqm\r\nX-Request-Id: a\nb: c\x00\r\n\r\n")
            assert received(injected).startswith(b"HTTP/1.1 400 ")
        with served.connect() as in_flight:
            in_flight.sendall(head(bot, len(body)) + body[:5])
            time.sleep(0.3)  # until the server has read the head, which nothing shows from outside
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            in_flight.sendall(body[5:])
            assert received(in_flight).startswith(b"HTTP/1.1 201 ")
        assert served.process.wait(30) == 0, served.log
    assert ledger.get("shop", "refund:4711").state == "claimed"
    assert "Traceback" not in served.log


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_line_of_error(oqm("serve", "--ledger", tmp_path, "--port", str(port)))
    assert said.startswith(f"oqm: serve cannot listen on 127.0.0.1:{port}: ")


@pytest.fixture
def shared_ledger(postgres_database: str) -> Iterator[Ledger]:
    found = open_ledger(postgres_database)
    yield found
    found.close()


def test_several_processes_share_a_port_and_one_postgresql(
    tmp_path: Path, postgres_database: str, shared_ledger: Ledger
) -> None:
    bot = Tokens(shared_ledger)("act", app="shop")
    keys = [f"refund:{number}" for number in range(20)]
    for key in keys:
        proposed(shared_ledger, key)
    with serving(tmp_path, postgres_database, "--processes", "2") as served:
        statuses = []
        for key in keys:
            for _ in range(2):
                # A new connection each time, so that the kernel chooses a process each time.
                answer = httpx.post(f"{served.url}/v1/actions/{key}/claim", headers=bot, json=CLAIM)
                statuses.append(answer.status_code)
        assert statuses == [201, 409] * len(keys)
        limit = time.monotonic() + 30
        claims = r'requests_total\{route="post_v1_actions_key_claim",status="(\d+)"\} (\S+)'
        while True:  # the other process writes its counts once a second
            text = httpx.get(f"{served.url}/metrics").text
            counted = dict(re.findall(claims, text))
            if counted == {"201": "20.0", "409": "20.0"}:
                break
            assert time.monotonic() < limit, text
            time.sleep(0.1)
        # One that dies is replaced, and what it has counted stays.
        first, second = _processes(served.process.pid)
        os.kill(first, signal.SIGKILL)
        while len(found := _processes(served.process.pid)) < 2 or first in found:
            assert time.monotonic() < limit + 60, served.log
            time.sleep(0.1)
        assert second in found
        text = httpx.get(f"{served.url}/metrics").text
        assert dict(re.findall(claims, text)) == counted
        served.process.terminate()
        assert served.process.wait(30) == 0, served.log
    assert 'duplicates_total{kind="money",what="in_flight"} 20.0' in text


def _processes(parent: int) -> list[int]:
    """The processes that serve: children that are no zombies, without the one that keeps track of shared memory."""
    children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_accepted_connections_send_small_packets_at_once() -> None:
    # asyncio sets TCP_NODELAY where the socket names its protocol only; without it an answer takes 40 ms more.
    with _listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


def test_a_certificate_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("nonsense")
    for name in ("nothing.pem", "key.pem"):
        serve = Serve(cert_file=str(tmp_path / name), key_file=str(tmp_path / "key.pem"))
        with pytest.raises(ConfigError, match=r"serve\.cert_file .*cannot be used"):
            run_server(lambda: pytest.fail("started"), serve, lambda url: None)
