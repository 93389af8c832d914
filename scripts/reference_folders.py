"""The page of docs/reference that maps the folders, by the first sentences of their packages. See `build_reference`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEEPEST = 3  # folders of this many parts: monitor/detection/columns; deeper ones belong to one module
OTHERS = {
    "tests": "tests, in folders named as what they test; a change comes with one that fails without it",
    "tests/additions": "what a contributor adds, added to a copy of the tree",
    "tests/brokers": "a real Apache Kafka for tests, without Docker",
    "tests/faults": "workers killed and frozen, brokers restarted, receivers failing, and the account afterwards",
    "tests/kafka": "the path from topic to alert on a real broker",
    "benchmarks": "measurements: detection, throughput, texts; never imported by what is installed",
    "config": "what operators edit: settings, runbooks, rules, dashboards",
    "docs": "this documentation; `docs/reference` is generated",
    "scripts": "generators of pages, dashboards, tables and settings examples",
}


def folders() -> str:
    """A table of all folders with one line each."""
    lines = ["| folder | holds |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for package in ("monitor", "pipelines") for name, meaning in _of(package)]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in OTHERS.items()]
    return "\n".join(lines)


def _of(package: str) -> Iterator[tuple[str, str]]:
    """Name and meaning of the package's folders, in the order of their names."""
    for init in sorted((ROOT / package).rglob("__init__.py")):
        name = init.parent.relative_to(ROOT)
        meaning = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
        if len(name.parts) <= DEEPEST and meaning:
            first = re.split(r"\n\n", meaning)[0]
            yield name.as_posix(), " ".join(first.replace("|", "\\|").split())
