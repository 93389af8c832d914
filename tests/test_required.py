"""Required services may not be skipped over in silence: `tests/conftest.py`, in one process and in two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MARKED = "import pytest\n\n@pytest.mark.kafka\ndef test_it():\n    {}\n"
UNMARKED = "def test_it():\n    pass\n"


@pytest.mark.parametrize("processes", [[], ["--numprocesses=2", "--dist=loadgroup"]], ids=["one process", "two"])
@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (MARKED.format("pass"), 0, "1 passed"),
        (MARKED.format("pytest.skip('no Java')"), 1, "OQM_REQUIRE_KAFKA=1, but this test skipped: "),
        # In a folder of that name, which is a keyword of its tests but no mark.
        (UNMARKED, 1, "OQM_REQUIRE_KAFKA=1, but no test marked `kafka` passed: the run fails."),
    ],
    ids=["passed", "skipped", "none"],
)
def test_a_required_service_is_tested_or_the_run_fails(
    text: str, status: int, said: str, processes: list[str], tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    kafka\n    transformers\n")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "test_it.py").write_text(text)
    environment = {**os.environ, "OQM_REQUIRE_KAFKA": "1", "OQM_REQUIRE_TRANSFORMERS": "0"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", "-p", "no:cacheprovider", *processes],
        cwd=tmp_path,
        env={name: value for name, value in environment.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == status
