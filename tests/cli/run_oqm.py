"""Runs `oqm` as its users do: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def oqm(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed, without the caller's own OQM_ variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OQM_")}
    command = [sys.executable, "-m", "monitor.cli", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False, timeout=150
    )


def json_lines(text: str) -> list[dict[str, Any]]:
    """Each line as an object."""
    return [json.loads(line) for line in text.splitlines()]


def one_line_of_error(done: subprocess.CompletedProcess[str]) -> str:
    """The line on stderr of a command that was refused: exit code 2, no traceback, nothing on stdout."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("oqm: ")
    return lines[0]
