"""`oqm compare`: as a build calls it, and as a person reads it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.run_oqm import json_lines, one_line_of_error, oqm

SAY = [
    "Your order left our warehouse yesterday.",
    "The parcel is on its way to you.",
    "You can return the item within 30 days.",
    "The price includes tax.",
    "Keep the receipt until the refund arrives.",
]
HOSTILE = "<script>alert('x')</script>"


def written(path: Path, seed: int, turn: Callable[[str], str] = str, count: int = 50) -> Path:
    rng, questions = random.Random(seed), random.Random(1)
    rows = [
        {
            "id": f"{path.stem}-{k}",
            "input": f"question {questions.randrange(10**6)} {HOSTILE}",
            "output": turn(" ".join(rng.sample(SAY, rng.randint(2, 4)))),
        }
        for k in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return written(tmp_path / "old.jsonl", 2)


def test_a_changed_prompt_fails_a_build(tmp_path: Path, old: Path) -> None:
    new = written(tmp_path / "new.jsonl", 3, lambda text: f"```\n{text}\n```")
    done = oqm("compare", old, new, "--fail-on-change")
    assert done.returncode == 1
    assert "output.format.code" in done.stdout
    assert "50 pairs of outputs to the same inputs" in done.stderr
    assert oqm("compare", old, new).returncode == 0


def test_the_same_model_passes_and_says_how_much_it_could_tell(tmp_path: Path, old: Path) -> None:
    done = oqm("compare", old, written(tmp_path / "again.jsonl", 4), "--fail-on-change")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "no feature changed for certain" in done.stderr
    assert "cannot be decided" in done.stderr


def test_too_few_outputs_are_no_pass(tmp_path: Path, old: Path) -> None:
    done = oqm("compare", old, written(tmp_path / "few.jsonl", 5, count=12), "--fail-on-change")
    assert done.returncode == 3
    assert "cannot tell: 50 in old.jsonl and 12 in few.jsonl" in done.stderr


def test_json_has_every_feature_with_its_interval(tmp_path: Path, old: Path) -> None:
    new = written(tmp_path / "new.jsonl", 3, lambda text: f"{text} {text}")
    rows = {row["feature"]: row for row in json_lines(oqm("compare", old, new, "--json").stdout)}
    words = rows["output.length.words"]
    assert words["outcome"] == "changed"
    assert words["low"] <= words["after"] - words["before"] <= words["high"]
    assert {row["outcome"] for row in rows.values()} <= {"changed", "small", "same", "open"}


def test_the_page_stands_alone_and_texts_stay_text(tmp_path: Path, old: Path) -> None:
    new = written(tmp_path / "new.jsonl", 3, lambda text: f"{HOSTILE} {text}")
    page = tmp_path / "page.html"
    assert oqm("compare", old, new, "--html", page).returncode == 0
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            assert not {"src", "href", "onload"} & {name for name, _ in attributes}

    Reader().feed(page.read_text())
    assert "script" not in tags
    assert "link" not in tags
    assert "svg" in tags


def test_names_are_whole_in_a_pipe(tmp_path: Path, old: Path) -> None:
    new = written(tmp_path / "new.jsonl", 3, lambda text: f"{text} {text}")
    assert "output.repetition.longest" in oqm("compare", old, new, "--all").stdout


def test_wrong_words_are_answered_in_one_line(tmp_path: Path, old: Path) -> None:
    assert "no such file" in one_line_of_error(oqm("compare", old, tmp_path / "nope.jsonl"))
    assert "is not there" in one_line_of_error(oqm("compare", old, old, "--html", tmp_path / "no" / "page.html"))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "holds no outputs" in one_line_of_error(oqm("compare", old, empty))
