"""Servers that some tests run against. Where one is not installed the test skips and says so; with
`OQM_REQUIRE_SERVERS=1` it fails instead. `scripts/install_servers.sh` installs them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    for name in names:
        if (found := shutil.which(name)) is not None:
            return found
    missing = f"{' or '.join(names)} is not installed: run scripts/install_servers.sh"
    if os.environ.get("OQM_REQUIRE_SERVERS") == "1":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], ready: str, log: Path, *, within_s: float = 60.0) -> Iterator[None]:
    """The server of `command`, from the moment its URL `ready` answers 200, until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            limit = time.monotonic() + within_s
            while not _answers(ready):
                if process.poll() is not None or time.monotonic() > limit:
                    pytest.fail(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _postgres_program(name: str) -> str:
    """Debian keeps the server's programs off the PATH, in a folder by version; the newest one wins."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else program(name)


class PostgresServer:
    """A real PostgreSQL with its log in a folder, which can be stopped and started again.

    As it refuses root, it runs as `postgres` then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://oqm@127.0.0.1:{self._port}/postgres"
        # Not in pytest's folders: each run of pytest closes them to other users again.
        self._data = Path(tempfile.mkdtemp(prefix="oqm-postgres-"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "postgres", "group": "postgres"}
            shutil.chown(self._data, "postgres", "postgres")
        command = [_postgres_program("initdb"), "-D", str(self._data), "-U", "oqm", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run([*command, "--no-sync"], capture_output=True, text=True, cwd="/", **self._user)
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        data, port = str(self._data), str(self._port)
        command = [_postgres_program("postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", data]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._user)
        limit = time.monotonic() + 60
        while not _accepts(self._port):
            if self._process.poll() is not None or time.monotonic() > limit:
                pytest.fail(f"postgres did not start:\n{(self._folder / 'postgres.log').read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it fast: open connections are ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def crash(self) -> None:
        """Stop it at once: what is committed is recovered from its log when it starts again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop it and remove its data; at once, as a proper end first writes every test's database to the disk."""
        self.crash()
        shutil.rmtree(self._data)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A real PostgreSQL with an empty database; gives its URL."""
    server = PostgresServer(folder)
    server.start()
    try:
        yield server.url
    finally:
        server.remove()


def empty_database(server: str) -> str:
    """Make a database on the server at this URL; gives its URL."""
    from sqlalchemy import create_engine, text

    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(server.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return server.rpartition("/")[0] + f"/{name}"


def _accepts(port: int) -> bool:
    """Whether PostgreSQL answers a start-up packet, and not that it is still starting."""
    import psycopg

    try:
        psycopg.connect(f"postgresql://oqm@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def alertmanager(config: Path, folder: Path) -> Iterator[str]:
    """A real Alertmanager with this configuration; gives its URL."""
    port = free_port()
    command = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(command, f"http://127.0.0.1:{port}/-/ready", folder / "alertmanager.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prometheus(config: Path, folder: Path) -> Iterator[str]:
    """A real Prometheus with this configuration; gives its URL."""
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, f"http://127.0.0.1:{port}/-/ready", folder / "prometheus.log"):
        yield f"http://127.0.0.1:{port}"
