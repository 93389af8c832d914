"""The table of mutation tests names modules and tests that exist, and their page names modules of the table.

Read from the source: the script itself needs the extra `mutation`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "mutation.py"


def constant(name: str) -> object:
    for node in ast.parse(SCRIPT.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise KeyError(name)


TESTS = constant("TESTS")
assert isinstance(TESTS, dict)


@pytest.mark.parametrize("module", TESTS)
def test_each_module_and_its_tests_exist(module: str) -> None:
    assert (ROOT / "monitor" / "detection" / f"{module}.py").is_file()
    for name in TESTS[module]:
        assert (ROOT / "tests" / "detection" / f"{name}.py").is_file()


def test_modules_that_are_compiled_again_are_in_the_table() -> None:
    assert constant("READ_BY_COMPILED") <= set(TESTS)  # type: ignore[operator]


def test_the_published_table_names_modules_of_the_table() -> None:
    rows = re.findall(r"^\| (\w+/\w+) \|", (ROOT / "docs" / "mutation.md").read_text(), re.MULTILINE)
    assert rows
    assert set(rows) <= set(TESTS)
