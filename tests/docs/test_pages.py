"""Pages of the documentation: links lead somewhere, commands exist, references are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from scripts.build_reference import FOLDER, PAGES
from tests.config.test_runbooks import PAGES as PAGES_OF_RUNBOOKS
from tests.config.test_runbooks import check, commands

ROOT = Path(__file__).resolve().parents[2]
DETECTION = ROOT / "monitor" / "detection" / "README.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", DETECTION, *sorted((ROOT / "docs").rglob("*.md"))]
MOST_README_LINES = 150


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_can_be_given(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shell = re.sub(r"```\n", "```sh\n", path.read_text())
    for words in commands(shell):
        if "..." not in " ".join(words):
            check(words)


@pytest.mark.parametrize("page", PAGES)
def test_references_are_those_of_the_code(page: str) -> None:
    assert (FOLDER / page).read_text() == PAGES[page](), "run: python -m scripts.build_reference"


def test_every_page_is_in_the_navigation() -> None:
    navigation = str(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    missing = [p for p in sorted((ROOT / "docs").rglob("*.md")) if str(p.relative_to(ROOT / "docs")) not in navigation]
    assert missing == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_README_LINES


PRIVATE = re.compile(r"\b(told|laid|rings|rang|anew|so many|whose doing)\b")
"""Words that a reader who knows the field and not us stumbles over; CONTRIBUTING says which to use."""


@pytest.mark.parametrize("path", [*DOCUMENTS, *PAGES_OF_RUNBOOKS], ids=name)
def test_pages_speak_plainly(path: Path) -> None:
    assert PRIVATE.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)) == []


def test_the_glossary_is_in_order_and_explains_each_word_once() -> None:
    glossary = (ROOT / "docs" / "concepts.md").read_text().split("## Glossary")[1]
    words = re.findall(r"(?m)^\| ([\w -]+) \| ", glossary)[1:]
    assert words == sorted(set(words))
    for word in ("stratum", "fence", "zone", "provisional reference", "young", "tick"):
        assert word in glossary
