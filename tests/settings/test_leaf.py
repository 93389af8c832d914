"""Reading settings, asking for help and publishing load nothing that only detection needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numba", "scipy", "river", "pandas", "faust", "aiokafka", "tokenizers", "sklearn", "torch"}


def loaded_by(statement: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter holds after this statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import monitor.settings",
        "from monitor.settings import load_settings; load_settings(None)",
        "import monitor.detection.settings",
        "import monitor.cli\nsys.argv = ['oqm', '--help']\ntry: monitor.cli.main()\nexcept SystemExit: pass",
    ],
)
def test_settings_and_help_load_no_detector(statement: str) -> None:
    assert HEAVY & loaded_by(statement) == set()


def test_publishing_loads_no_numbers_either() -> None:
    assert (HEAVY | {"numpy", "pydantic", "rich", "yaml"}) & loaded_by("from monitor import OutputPublisher") == set()


def test_the_gate_needs_the_small_install_only() -> None:
    extras = HEAVY | {"numpy", "pydantic", "rich", "yaml", "sqlalchemy", "starlette", "httpx", "kafka"}
    assert extras & loaded_by("from monitor import Gate, AsyncGate; from monitor.gate import Held") == set()
