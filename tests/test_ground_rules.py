"""The rules of `conftest.py` and `shared_data.py` themselves: what is required may not be skipped over in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import shared

CONFTEST = Path(__file__).parent / "conftest.py"


def run_pytest(folder: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    kafka\n    transformers\n")
    (folder / "test_it.py").write_text("import pytest\n" + test)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OQM_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    return subprocess.run(command, cwd=folder, env=clean | environment, capture_output=True, text=True, check=False)


SKIPPED = "@pytest.mark.kafka\ndef test_a():\n    pytest.skip('no java')\n"
IN_FIXTURE = (
    "@pytest.fixture\ndef broker():\n    pytest.skip('no java')\n@pytest.mark.kafka\ndef test_a(broker):\n    pass\n"
)
PASSES = "@pytest.mark.kafka\ndef test_a():\n    pass\n"
OTHER = "def test_a():\n    pass\n"


@pytest.mark.parametrize("test", [SKIPPED, IN_FIXTURE])
def test_a_skipped_kafka_test_fails_only_where_kafka_is_required(tmp_path: Path, test: str) -> None:
    assert run_pytest(tmp_path, test).returncode == 0
    required = run_pytest(tmp_path, test, OQM_REQUIRE_KAFKA="1")
    assert required.returncode == 1
    assert "OQM_REQUIRE_KAFKA=1, but this test skipped: " in required.stdout
    assert "no java" in required.stdout


def test_a_run_without_any_kafka_test_fails_where_kafka_is_required(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, OTHER).returncode == 0
    assert run_pytest(tmp_path, OTHER, OQM_REQUIRE_KAFKA="1").returncode == 1
    assert run_pytest(tmp_path, PASSES, OQM_REQUIRE_KAFKA="1").returncode == 0


def test_missing_shared_data_skips_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OQM_SHARED_DATA", str(tmp_path))
    monkeypatch.delenv("OQM_REQUIRE_SHARED", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"nothing\.jsonl is not in"):
        shared("nothing.jsonl")
    monkeypatch.setenv("OQM_REQUIRE_SHARED", "1")
    with pytest.raises(pytest.fail.Exception, match=r"nothing\.jsonl is not in"):
        shared("nothing.jsonl")
    (tmp_path / "there.jsonl").touch()
    assert shared("there.jsonl") == tmp_path / "there.jsonl"
