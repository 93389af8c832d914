"""Runs `oqm`: in this process for what a command says, in one of its own for how a program behaves."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from monitor.cli import main


def _environment(given: dict[str, str]) -> dict[str, str]:
    """The caller's environment without its own OQM_ variables, and without a width, which parallel test runs set."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OQM_", "COLUMNS"))}
    return inherited | given


def oqm(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command here, where everything is imported already, and return what it printed."""
    argv = ["oqm", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code: Any = 0
    with (
        mock.patch.dict(os.environ, _environment(environment), clear=True),
        mock.patch.multiple(sys, argv=argv, stdout=out, stderr=err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    printed = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(argv, code, *printed)


def oqm_process(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as its users do."""
    command = [sys.executable, "-m", "monitor.cli", *map(str, arguments)]
    return subprocess.run(
        command, env=_environment(environment), capture_output=True, text=True, check=False, timeout=150
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
