"""The worker of the demo: `oqm worker` as an operator would start it, in its own process, with its log in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.errors import BrokerError

_STOP_S = 15.0  # a worker that has not written its last checkpoint by then hangs, and is killed


class WorkerProcess:
    """Runs while the `with` block does.

    Parameters
    ----------
    arguments
        Of `oqm worker`.
    environment
        Variables that it gets beside those of this process.
    metrics_port
        Where it serves /metrics.
    log
        File that takes what it prints.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], metrics_port: int, log: Path) -> None:
        self._arguments = [*arguments, "--metrics-port", str(metrics_port)]
        # Without the operator's own OQM_ variables: a configuration of theirs is not what the demo shows.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OQM_")}
        self._environment = {**inherited, **environment}
        self._address = f"http://127.0.0.1:{metrics_port}"
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it; it is ready some seconds later."""
        command = [sys.executable, "-m", "monitor.cli", "worker", *self._arguments]
        with self.log.open("wb") as log:
            # Its own session: Ctrl-C reaches the demo, which then stops the worker in order.
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it: SIGTERM first, SIGKILL when that does not help."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raise `BrokerError` with the end of its log where it has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            tail = " | ".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise BrokerError(f"the worker ended with exit code {code}: {tail[-800:]}")

    def metrics(self) -> str | None:
        """The text of /metrics, None while it is not served yet."""
        try:
            with urllib.request.urlopen(f"{self._address}/metrics", timeout=2) as response:
                text: str = response.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None
