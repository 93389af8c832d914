"""A broker as a child process: it listens on a port of 127.0.0.1, is waited for, and is stopped.

The demo's `EmbeddedBroker` is one; the tests' Apache Kafka (`tests.brokers`, not in the wheel) is the other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.errors import BrokerError


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1, connections of an earlier process that linger aside."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _taken(name: str, port: int) -> str:
    return f"{name} cannot start: another process listens on 127.0.0.1:{port}; end it, or choose another port"


_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp


def _listens(pid: int, port: int) -> bool | None:
    """Whether the process itself listens on the port; None where the system does not say (no /proc, or not ours)."""
    inodes = set()
    try:
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None
    open_files = set()
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed, as a starting process does often
            open_files.add(os.readlink(entry))
    return bool(inodes & open_files)


class BrokerProcess:
    """A broker as a child process. Subclasses say how it is started; `with broker:` runs it.

    Parameters
    ----------
    port
        Port to listen on; a free one where None.
    folder
        Where data and `broker.log` go; a temporary folder, removed on exit, where None.
    """

    name = "broker"
    start_timeout_s = 60.0
    session_timeout_s: float = 60.0
    """The consumer session time-out that suits this broker."""

    def __init__(self, port: int | None = None, folder: Path | None = None) -> None:
        self.port = port if port is not None else free_port()
        self._owns_folder = folder is None
        self.folder = folder if folder is not None else Path(tempfile.mkdtemp(prefix="oqm-broker-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`, as every command's `--broker` takes it."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker wrote on stdout and stderr."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        if self._process is None:
            raise BrokerError(f"{self.name} is not running")
        return self._process.pid

    def command(self) -> Sequence[str]:
        """The command line; called once the folder exists. Raises `BrokerError` where something needed is missing."""
        raise NotImplementedError

    def start(self) -> None:
        """Start and wait until the broker answers on its port.

        Raises `BrokerError` where another process listens there, and with the log's tail where the broker does not
        start.
        """
        if not _is_free(self.port):
            raise BrokerError(_taken(self.name, self.port))
        self.folder.mkdir(parents=True, exist_ok=True)
        command = list(self.command())
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C in a terminal reaches the worker, and the broker outlives its last commit.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )
        deadline = time.monotonic() + self.start_timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                if _listens(self._process.pid, self.port) is not False:
                    return
                self.stop()
                raise BrokerError(_taken(self.name, self.port))
            time.sleep(0.05)
        tail = self.log.read_text(errors="replace")[-800:]
        self.stop()
        raise BrokerError(f"{self.name} did not start on 127.0.0.1:{self.port}; its log ends with:\n{tail}")

    def stop(self, timeout_s: float = 20.0) -> None:
        """SIGTERM, then SIGKILL after `timeout_s`. Repeatable."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
