"""`oqm check` and `oqm replay --criteria`: what they print, how they end, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run_oqm import json_lines, one_line_of_error, oqm

CRITERIA = """\
criteria:
  - {name: order_json, check: {json_schema: {type: object, required: [total]}}}
  - {name: concise, check: {feature: output.length.words, most: 12}}
"""


@pytest.fixture
def criteria(tmp_path: Path) -> Path:
    path = tmp_path / "criteria.yaml"
    path.write_text(CRITERIA)
    return path


def written(path: Path, outputs: list[str | None]) -> Path:
    path.write_text(
        "".join(json.dumps({"id": f"e{k}", "output": o, "error": "x"}) + "\n" for k, o in enumerate(outputs))
    )
    return path


def test_a_build_fails_on_what_violates_a_criterion(tmp_path: Path, criteria: Path) -> None:
    file = written(tmp_path / "o.jsonl", ['{"total": 1}', "Total: 1", '{"total": 2}', None])
    done = oqm("check", file, "--criteria", criteria)
    assert done.returncode == 1
    assert "e1" in done.stdout
    assert done.stderr.splitlines()[-1] == "4 outputs, 2 criteria: 1 violated"
    first, second = json_lines(oqm("check", file, "--criteria", criteria, "--json").stdout)
    assert (first["checked"], first["violating"], first["undecided"], first["ids"]) == (3, 1, 1, ["e1"])
    assert first["low"] < first["rate"] < first["high"]
    assert second["violating"] == 0


def test_it_passes_or_cannot_tell(tmp_path: Path, criteria: Path) -> None:
    assert oqm("check", written(tmp_path / "a.jsonl", ['{"total": 1}']), "--criteria", criteria).returncode == 0
    blind = oqm("check", written(tmp_path / "b.jsonl", [None]), "--criteria", criteria)
    assert blind.returncode == 3
    assert "cannot tell for order_json, concise" in blind.stderr
    assert oqm("check", written(tmp_path / "c.jsonl", []), "--criteria", criteria).returncode == 3


def test_wrong_criteria_are_refused_with_line_and_key(tmp_path: Path) -> None:
    file = written(tmp_path / "o.jsonl", ["a"])
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(CRITERIA + "  - {name: odd, check: {matches: '(?=a)'}}\n")
    done = oqm("check", file, "--criteria", wrong)
    assert done.returncode == 2
    assert "wrong.yaml:4 criteria[2].check: matches is no regular expression that RE2 takes" in one_line_of_error(done)
    wrong.write_text(CRITERIA + "  - {name: concise, check: {matches: a}}\n")
    assert "two criteria have the name concise" in one_line_of_error(oqm("check", file, "--criteria", wrong))
    wrong.write_text("criteria:\n  - {name: odd, check: {feature: output.length.wrds, most: 3}}\n")
    assert "did you mean `output.length.words`?" in one_line_of_error(oqm("check", file, "--criteria", wrong))
    assert "no criteria" in one_line_of_error(oqm("check", file))


def test_a_check_that_begins_to_fail_is_found_by_a_replay(tmp_path: Path, criteria: Path) -> None:
    outputs: list[str | None] = [json.dumps({"total": k % 50, "note": "thanks " * (k % 5)}) for k in range(1_200)]
    outputs[800:] = [o if k % 2 else o.replace("total", "sum") for k, o in enumerate(outputs[800:]) if o]
    file = written(tmp_path / "o.jsonl", outputs)
    done = oqm("replay", file, "--criteria", criteria, "--json", "--fail-on-finding")
    assert done.returncode == 1, done.stderr
    (found,) = [f for f in json_lines(done.stdout) if f["state"] == "firing" and not f.get("revision")]
    assert "output.check.order_json" in {change["name"] for change in found["features"]}
    refused = oqm("replay", "--past", "--criteria", criteria)
    assert "--criteria checks the outputs of files" in one_line_of_error(refused)
