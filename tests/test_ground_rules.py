"""Rules of the tests themselves.

What is required may not be skipped without a word (`conftest.py`, `shared_data.py`). Code that is only for measuring or
testing stays on its side: tests do not import `benchmarks`, and what is installed imports neither. `make quick` tests
each folder of `tests/` that needs no broker. Numeric constants say why they have their value.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import shared

CONFTEST = Path(__file__).parent / "conftest.py"
ROOT = Path(__file__).parents[1]


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


def made(variable: str) -> set[str]:
    """The words of a variable of the Makefile, continued lines included."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    found = re.search(rf"^{variable} := (.*)$", text, re.MULTILINE)
    assert found is not None, variable
    return set(re.sub(r"\$\(addprefix \S+,|\)", " ", found[1]).split())


def test_each_folder_of_tests_is_in_make_quick_or_named_as_too_slow_for_it() -> None:
    folders = {one.name for one in (ROOT / "tests").iterdir() if any(one.glob("**/*.py")) and one.name[0] not in "._"}
    quick = made("QUICK_TESTS")
    assert all((ROOT / "tests" / name).is_dir() for name in quick | made("NOT_QUICK"))
    whole = {name for name in quick if "/" not in name}
    assert whole | made("NOT_QUICK") == folders
    assert not whole & made("NOT_QUICK")


def imported(source: Path) -> set[str]:
    """The top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("folders", "forbidden"),
    [(("tests",), {"benchmarks"}), (("monitor", "pipelines"), {"benchmarks", "scripts", "tests"})],
)
def test_nothing_depends_on_what_is_built_on_top_of_it(folders: tuple[str, ...], forbidden: set[str]) -> None:
    sources = [source for folder in folders for source in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 50
    assert {str(source.relative_to(ROOT)): found for source in sources if (found := imported(source) & forbidden)} == {}


UNITS = re.compile(r"_?(?:MINUTE|HOUR|DAY|WEEK|MONTH)_S|HOURS_A_DAY|_?VERSION")
"""Names that say all there is to say of a value."""


def is_numeric(value: ast.expr) -> bool:
    """Whether an expression is a number, or numbers only: `8 * 2**20`, `(1, 2)`, `np.array([3, 7])`."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | float) and not isinstance(value.value, bool)
    if isinstance(value, ast.UnaryOp):
        return is_numeric(value.operand)
    if isinstance(value, ast.BinOp):
        return is_numeric(value.left) and is_numeric(value.right)
    parts = value.elts if isinstance(value, ast.Tuple | ast.List) else value.args if isinstance(value, ast.Call) else []
    return bool(parts) and all(map(is_numeric, parts))


def unexplained(source: str) -> list[str]:
    """Names of numeric constants of a module without a comment beside or above them, or a string below them.

    A string below a group of constants, with no empty line between them, is about all of them.
    """
    lines, found, body = source.splitlines(), [], ast.parse(source).body
    for place, node in enumerate(body):
        if not isinstance(node, ast.Assign) or not is_numeric(node.value):
            continue
        end = place
        while end + 1 < len(body) and body[end + 1].lineno == (body[end].end_lineno or 0) + 1:
            end += 1
            if isinstance(body[end], ast.Expr):
                break
        beside = "#" in "".join(lines[node.lineno - 1 : node.end_lineno])
        above = node.lineno > 1 and lines[node.lineno - 2].startswith("#")
        if not (isinstance(body[end], ast.Expr) or beside or above):
            found.append(ast.unparse(node.targets[0]))
    return [name for name in found if not UNITS.fullmatch(name)]


def test_a_constant_is_explained_beside_above_or_below() -> None:
    below = 'C = (3, 4)\n"""Of C."""\n\nD = 5\nE = 6\n"""Of both."""\n'
    assert unexplained(f"A = 1  # one\n\n# Two.\nB = 2\n\n{below}") == []
    assert unexplained("A = 1\n\nB = -2.5 * 3\nC = 'text'\nD = True\nHOUR_S = 3600.0\n") == ["A", "B"]
    assert unexplained("A = 1  # one\nB = 2\n") == ["B"]


def test_numeric_constants_say_why_they_have_their_value() -> None:
    sources = [source for folder in ("monitor", "pipelines") for source in (ROOT / folder).rglob("*.py")]
    missing = {str(source.relative_to(ROOT)): unexplained(source.read_text()) for source in sources}
    assert {source: names for source, names in missing.items() if names} == {}
