"""Examples of the documentation are written again by a command, and the marked commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from scripts import run_examples
from tests.config.test_runbooks import check

PAGE = """# A page

<!-- file: said.txt -->
```
Hello
```

<!-- run: cat said.txt; echo $COLUMNS -->
```
$ something else
with its output
```

```
a block that is not marked
```
"""


def test_marked_blocks_are_run_and_others_stay(tmp_path: Path) -> None:
    new = run_examples.refreshed(PAGE, tmp_path)
    assert "```\n$ cat said.txt; echo $COLUMNS\nHello\n100\n```\n" in new
    assert "something else" not in new
    assert "a block that is not marked" in new
    assert run_examples.refreshed(new, tmp_path) == new


def test_a_command_that_fails_is_reported_unless_that_is_expected(tmp_path: Path) -> None:
    fails = "<!-- run: echo no; exit 3 -->\n```\n```\n"
    with pytest.raises(run_examples.FailedExample, match="exit code 3: echo no; exit 3\nno"):
        run_examples.refreshed(fails, tmp_path)
    expected = run_examples.refreshed("<!-- run: echo no && false || true -->\n```\n```\n", tmp_path)
    assert expected == "<!-- run: echo no && false || true -->\n```\n$ echo no && false\nno\n```\n"


@pytest.mark.parametrize("page", run_examples.pages(), ids=lambda page: page.stem)
def test_marked_commands_of_oqm_exist_and_are_shown(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    for command in run_examples.commands(text):
        assert f"\n$ {command.removesuffix(run_examples.ACCEPTED)}\n" in text, "run: python -m scripts.run_examples"
        for part in re.split(r"[|;&]+", command):
            if part.strip().startswith("oqm "):
                check(shlex.split(re.split(r"[<>]", part)[0]))


def test_the_examples_of_the_readme_print_what_it_shows(tmp_path: Path) -> None:
    text = (run_examples.ROOT / "README.md").read_text()
    assert run_examples.commands(text), "README.md has no marked example"
    assert run_examples.refreshed(text, tmp_path) == text, "run: python -m scripts.run_examples README.md"
