"""Runs the examples of README.md and docs/ again, and writes what they print into the pages.

python -m scripts.run_examples [PAGE ...]            # all pages by default; --check: exit code 1 where one would change

A block that is to be written again has a comment on the line before it:

    <!-- run: oqm replay answers.jsonl -->         the block becomes `$ oqm replay answers.jsonl` and what it prints
    <!-- file: settings.yaml -->                   the block's text is written to this file first

The commands of a page run in its order, by a shell, in one empty folder, 100 columns wide, with standard error. They
may not need a broker. A command that ends with another exit code than 0 stops the script, unless it ends in `|| true`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 100  # fits into a page of the site without scrolling
BLOCK = re.compile(
    r"^<!-- (?P<what>run|file): (?P<said>.+?) -->\n+(?P<fence>```+)(?P<kind>\w*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
ACCEPTED = " || true"  # at the end of a command that is expected to fail; it is not shown


class FailedExample(Exception):
    """A command of a page that ended with another exit code than 0."""


def pages() -> list[Path]:
    """The pages that hold at least one marked block."""
    every = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    return [page for page in every if BLOCK.search(page.read_text(encoding="utf-8"))]


def commands(text: str) -> list[str]:
    """The marked commands of a page, in order."""
    return [found["said"] for found in BLOCK.finditer(text) if found["what"] == "run"]


def refreshed(text: str, folder: Path) -> str:
    """The page with the output of its marked commands, which run in `folder`; raises `FailedExample`."""

    def again(found: re.Match[str]) -> str:
        if found["what"] == "file":
            (folder / found["said"]).write_text(found["text"], encoding="utf-8")
            return found[0]
        shown = found["said"].removesuffix(ACCEPTED)
        printed = f"$ {shown}\n{_run(found['said'], folder)}"
        return f"<!-- run: {found['said']} -->\n{found['fence']}{found['kind']}\n{printed}{found['fence']}"

    return BLOCK.sub(again, text)


def _run(command: str, folder: Path) -> str:
    """What the command prints, without blanks at the ends of its lines."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OQM_")}
    environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environ.get("PATH", "")])
    environ |= {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TZ": "UTC", "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise FailedExample(f"exit code {done.returncode}: {command}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the pages again, or say which would change."""
    parser = argparse.ArgumentParser(description="Run the marked examples of README.md and docs/ again.")
    parser.add_argument("page", nargs="*", type=Path, help="only these pages")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a page would change")
    given = parser.parse_args()
    changed = []
    for page in given.page or pages():
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            try:
                new = refreshed(text, Path(folder))
            except FailedExample as failed:
                sys.exit(f"{page}: {failed}")
        if new != text:
            changed.append(page)
            if not given.check:
                page.write_text(new, encoding="utf-8")
    for page in changed:
        print(f"{page}: {'would change' if given.check else 'written'}")
    if given.check and changed:
        sys.exit(1)


if __name__ == "__main__":
    main()
