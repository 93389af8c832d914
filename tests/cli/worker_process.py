"""`oqm worker` as a process, as its operators run it: its log, its metrics, its signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

WAIT_S = 90.0
"""For a process that shares two cores with others to get where it should; a test that waits so long has failed."""


class WorkerProcess:
    """A worker with these arguments, ended by SIGTERM; what it logs stands in `log`, what it prints in `out`."""

    def __init__(self, *arguments: str | Path, folder: Path, name: str = "worker", **environment: str) -> None:
        self._command = [sys.executable, "-m", "monitor.cli", "worker", *map(str, arguments)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OQM_")}
        self._environment = inherited | environment
        self.err, self.out = folder / f"{name}.log", folder / f"{name}.out"
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self.err.open("wb") as err, self.out.open("wb") as out:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=err, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT_S)
            finally:
                self.process.kill()

    @property
    def log(self) -> str:
        return self.err.read_text()

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Until `holds`; fails with the log where the worker ends before, or it never comes."""
        limit = time.monotonic() + WAIT_S
        while not holds():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < limit, self.log
            time.sleep(0.1)

    def says(self, text: str) -> None:
        """Wait until the log holds this."""
        self.wait_until(lambda: text in self.log)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


def answers(port: int, path: str = "/healthz") -> bool:
    """Whether something answers at this port, whatever it says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
