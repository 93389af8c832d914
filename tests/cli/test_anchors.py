"""`oqm anchors`: adding labelled outputs, what it refuses, and what it shows of where they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import anchors as module
from monitor.criteria.anchors import Anchor, read_anchors
from monitor.judgment.anchor_book import REPEATS, AnchorBook
from monitor.judgment.records import Judgment, Purpose
from tests.cli.run_oqm import one_line_of_error, oqm


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "monitor.yaml"
    path.write_text(
        f"""\
evaluators: [{{kind: classifier, name: main}}]
streams:
  - match: "*"
    criteria:
      - {{name: polite, pass: is friendly, evaluator: main, anchors: {tmp_path}/anchors/polite.jsonl}}
      - {{name: bare, pass: is short, evaluator: main}}
      - {{name: short, check: {{feature: output.length.words, most: 9}}}}
"""
    )
    return path


def test_labelled_outputs_of_a_file_are_added_once(tmp_path: Path, config: Path) -> None:
    table = tmp_path / "labelled.csv"
    table.write_text("output,passed,input\nGladly.,yes,Help?\nNo.,no,Help?\n")
    done = oqm("anchors", "add", "polite", "--from", table, "--config", config)
    assert done.returncode == 0
    file = tmp_path / "anchors" / "polite.jsonl"
    assert done.stderr.splitlines() == [
        f"{file}: 2 added; 2 in all, 1 that pass and 1 that fail",
        "workers take them when they are started again",
    ]
    again = oqm("anchors", "add", "polite", "--from", table, "--config", config)
    assert again.stderr.splitlines() == [f"{file}: 0 added, 2 were there; 2 in all, 1 that pass and 1 that fail"]
    assert [json.loads(line)["passed"] for line in file.read_text().splitlines()] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "polite"], "give --from FILE, or --event ID"),
        (["add", "polite", "--event", "e1"], "--passed or --failed"),
        (["add", "polite", "--event", "e1", "--failed"], "no trace store"),
        (["add", "polite", "--from", "none.csv"], "none.csv: no such file"),
        (["add", "bare", "--from", "none.csv"], "bare: the criterion names no file; add `anchors: anchors/bare.jsonl`"),
        (
            ["add", "short", "--from", "none.csv"],
            "no criterion of this name is judged by an evaluator; there are: p",
        ),
        (["run", "other"], "no criterion of this name"),
    ],
)
def test_what_is_missing_is_said(config: Path, arguments: list[str], said: str) -> None:
    assert said in one_line_of_error(oqm("anchors", *arguments, "--config", config))


def test_without_any_criterion_with_anchors_it_says_how_to_begin() -> None:
    assert "name a file under `anchors`" in one_line_of_error(oqm("anchors", "run"))


def test_a_label_that_contradicts_the_file_is_refused(tmp_path: Path, config: Path) -> None:
    for label in ("yes", "no"):
        (tmp_path / "l.csv").write_text(f"output,passed\nGladly.,{label}\n")
        done = oqm("anchors", "add", "polite", "--from", tmp_path / "l.csv", "--config", config)
    assert "with the other label" in one_line_of_error(done)


def test_an_output_of_the_trace_store_becomes_an_anchor(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monitor.store.query import StoredOutput

    class Store:
        def find(self, event: str) -> list[StoredOutput]:
            known = StoredOutput(
                stream="bot", id="e1", time=1.0, input="Help?", output="Gladly.", topic="o", partition=0, position=0
            )
            return [known] if event == "e1" else []

        def close(self) -> None: ...

    monkeypatch.setattr("monitor.store.open.open_store", lambda *given, **how: Store())
    done = oqm("anchors", "add", "polite", "--event", "e1", "--failed", "--store", tmp_path, "--config", config)
    assert done.returncode == 0, done.stderr
    [anchor] = read_anchors(tmp_path / "anchors" / "polite.jsonl").values()
    assert (anchor.output, anchor.input, anchor.event, anchor.passed) == ("Gladly.", "Help?", "e1", False)
    missing = oqm("anchors", "add", "polite", "--event", "e2", "--failed", "--store", tmp_path, "--config", config)
    assert "--event e2: the trace store has no output with this id" in one_line_of_error(missing)


def test_the_list_shows_what_changed_first_and_says_where_it_cannot_tell() -> None:
    made = [Anchor(output=f"answer {n}", passed=n % 2 == 0) for n in range(4)]
    anchors = {anchor.id: anchor for anchor in made}
    book = AnchorBook("polite", anchors, 30)
    assert module._standing(book).startswith("not pinned yet, 20 verdicts are missing")

    def judged(anchor: Anchor, offset: int, **said: Any) -> None:
        fields = {"passed": anchor.passed, "evaluator": "main", "identity": "a1", **said}
        book.apply(
            Judgment(
                stream=book.stream, event=str(offset), time=1.79e9, criterion="polite", purpose=Purpose.ANCHOR,
                anchor=anchor.id, **fields,
            ),
            offset,
        )  # fmt: skip

    for offset in range(REPEATS * len(made)):
        judged(made[offset % len(made)], offset)
    judged(made[3], 100, passed=True, rationale="it is polite")
    judged(made[0], 101)
    assert module._standing(book).startswith("pinned with main a1, ")
    rows = module._rows(book, anchors)
    assert rows[0]["anchor"] == made[3].id
    assert (rows[0]["people"], rows[0]["baseline_passed"], rows[0]["latest"]) == (False, 0, True)
    assert rows[0]["rationale"] == "it is polite"
    assert [row["latest"] for row in rows[1:]].count(None) == 2
