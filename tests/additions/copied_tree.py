"""A copy of the source tree to which a test adds something, and in which it runs what a contributor would run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("monitor", "pipelines", "scripts", "tests", "config")
SHOW = """
import json, sys
from scripts.build_reference import PAGES
from tests.cli.run_oqm import oqm
said = [oqm(*command) for command in json.loads(sys.argv[2])]
print(json.dumps([PAGES[sys.argv[1]](), *(one.stdout + one.stderr for one in said)]))
"""


class CopiedTree:
    """The packages, scripts, tests and configuration of this checkout, copied to `folder`.

    Files are copied with their times, so that what Python and Numba compiled before counts in the copy, too.
    What the calling run requires of its machine (`OQM_REQUIRE_...`) is not asked of the few tests that run here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in PARTS:
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy2(ROOT / "pyproject.toml", folder)

    def write(self, path: str, text: str) -> Path:
        """A new file of the copy."""
        file = self.folder / path
        assert not file.exists(), f"{path} is there already"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def insert(self, path: str, after: str, line: str) -> None:
        """A line below the only place of a file that holds the text `after`."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(after) == 1, f"{path} holds {after!r} {text.count(after)} times"
        file.write_text(text.replace(after, after + line))

    def run(self, *arguments: str, **environment: str) -> str:
        """What Python prints for these arguments in the copy; the test fails where the exit code is not 0."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OQM_REQUIRE_")}
        environ = {**inherited, "PYTHONPATH": str(self.folder), "COLUMNS": "200", **environment}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environ, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shows(self, page: str, *commands: Sequence[str]) -> list[str]:
        """A page of the reference, generated from the copy, and what each of the commands of `oqm` prints.

        All in one process, which imports everything once.
        """
        return [str(text) for text in json.loads(self.run("-c", SHOW, page, json.dumps(commands)))]

    def tests(self, names: str, files: Sequence[str]) -> int:
        """How many tests of these files pass whose name contains `names`; none may fail."""
        printed = self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", names, *files)
        summary = next(line for line in reversed(printed.splitlines()) if " passed" in line)
        return int(summary.split(" passed")[0].split()[-1])
