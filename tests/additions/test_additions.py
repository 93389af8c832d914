"""What a contributor adds is one small file and one line (docs/howto): all the rest follows from them.

Each test adds a toy to a copy of the tree. Settings, command line, documentation and contract suite must have it
without another edit. The sink is in `tests/sinks/test_registry.py`, the metric in `tests/telemetry/test_metrics.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from monitor.detection.records.finding_kinds import KINDS
from monitor.features.base import Role
from tests.additions.copied_tree import CopiedTree

FAMILY = '''"""Question marks of an output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from monitor.features.base import Column, FeatureSpec, Kind
from monitor.features.text.words import EventBatch


class Toy:
    """Family `toy`."""

    family = "toy"
    word_columns: Mapping[str, Callable[[str], float]] = {"toy.asks": lambda word: float(word.endswith("?"))}
    features: tuple[FeatureSpec, ...] = (FeatureSpec("output.toy.questions", Kind.COUNT, "words that end in `?`"),)

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output."""
        return {"output.toy.questions": batch.output.masked(np.asarray(batch.output.sums["toy.asks"]))}
'''


def test_a_feature_family_is_a_file_and_a_line(tmp_path: Path) -> None:
    tree = CopiedTree(tmp_path)
    tree.write("monitor/features/families/toy.py", FAMILY)
    registry = "monitor/features/registry.py"
    tree.insert(registry, "from monitor.features.families.tone import Tone\n", IMPORT_FAMILY)
    tree.insert(registry, "    table: tuple[Extractor, ...] = (\n", "        Toy(),\n")

    tree.write("outputs.jsonl", json.dumps({"stream": "s", "output": "Why? Who knows?"}) + "\n")
    tree.write("toy.yaml", "detection:\n  detectors: [{features: output.toy.*, detector: adwin}]\n")
    page, measured, checked = tree.shows(
        "features.md", ("features", "outputs.jsonl", "--json"), ("check-config", "toy.yaml")
    )
    assert "| `output.toy.questions` | count |" in page
    assert json.loads(measured)["features"]["output.toy.questions"] == 2
    assert "watches 1 number: output.toy.questions" in checked
    assert tree.tests("toy", ["tests/features/test_contract.py"]) == 1


IMPORT_FAMILY = "from monitor.features.families.toy import Toy\n"

DETECTOR = '''"""Drift where a number is larger than a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from monitor.detection.detectors.base import Reading, Status
from monitor.errors import StateError


class ToyDetector:
    """Reports drift for each value above `limit`."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last = Reading(Status.STABLE, 0.0, limit, 0)

    def update(self, value: float) -> Reading:
        """Take one value."""
        if math.isfinite(value):
            status = Status.DRIFT if value > self._limit else Status.STABLE
            self._last = Reading(status, value, self._limit, self._last.n_seen + 1)
        return self._last

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        last = [self._last.status.value, self._last.score, self._last.n_seen]
        return {"format": 1, "detector": "toy", "parameters": {"limit": self._limit}, "last": last}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot."""
        if state.get("format") != 1 or state.get("detector") != "toy":
            raise StateError("cannot be read by toy")
        self._limit = state["parameters"]["limit"]
        status, score, n_seen = state["last"]
        self._last = Reading(Status(status), score, self._limit, n_seen)


def make(name: str, parameters: Mapping[str, float]) -> ToyDetector:
    """Called by the table of detectors."""
    return ToyDetector(parameters.get("limit", 5.0))
'''
IMPORT_PARAMETER = "from monitor.detection.detectors.parameters import Parameter\n"
DETECTOR_LINE = '        "toy": Entry("monitor.detection.detectors.toy", Parameters({"limit": Parameter(0, 1e9)})),\n'


def test_a_detector_is_a_file_and_a_line(tmp_path: Path) -> None:
    tree = CopiedTree(tmp_path)
    tree.write("monitor/detection/detectors/toy.py", DETECTOR)
    registry = "monitor/detection/detectors/registry.py"
    tree.insert(registry, " import EVIDENCE as EVIDENCE_PARAMETERS\n", IMPORT_PARAMETER)
    tree.insert(registry, "    {\n", DETECTOR_LINE)

    tree.write("toy.yaml", "detection: {detectors: [{features: output.length.words, detector: toy}]}\n")
    tree.write("wrong.yaml", "detection: {detectors: [{detector: toy, parameters: {limit: -1}}]}\n")
    page, checked, refused = tree.shows(
        "configuration.md", ("check-config", "toy.yaml"), ("check-config", "wrong.yaml")
    )
    assert re.search(r"page_hinkley,[\s#]+toy", page)
    assert 'toy on "output.length.words" watches 1 number' in checked
    assert "toy limit must be > 0" in refused
    assert tree.tests("toy", ["tests/detection/test_detectors.py"]) == 2


FREE_ROLE = next(role for role in Role if not any(role in info.roles for info in KINDS.values()))
KIND = f"""    FindingKind.TOY: KindInfo(
        headline="Toys",
        meaning="Toys lie about.",
        next_steps=("Put them away.", "If they stay: oqm reference accept {{stream}}"),
        trigger=Trigger.CALL,
        roles=(Role.{FREE_ROLE.name},),
    ),
"""
RUNBOOK = """# Toys

## What it means
Toys lie about.

## How to confirm
```sh
oqm alert list
```

## Usual causes
Children.

## What to do now
Put them away.

## What to do after
Buy a box.

## How to accept or roll back
```sh
oqm reference accept STREAM
```
"""
CLASSIFIED = f"""
from monitor.detection.records.finding_kinds import kind_of_call
from monitor.features.base import Role

print(kind_of_call(Role.{FREE_ROLE.name}))
"""


def test_a_kind_of_finding_is_an_entry_and_a_runbook(tmp_path: Path) -> None:
    tree = CopiedTree(tmp_path)
    table = "monitor/detection/records/finding_kinds.py"
    tree.insert(table, '    REFERENCE = "reference"\n', '    TOY = "toy"\n')
    tree.insert(table, "_TABLE: dict[FindingKind, KindInfo] = {\n", KIND)
    tree.write("config/runbooks/toy.md", RUNBOOK)

    assert tree.run("-c", CLASSIFIED).strip() == "toy"
    page, schema = tree.shows("findings.md", ("schema", "finding"))
    assert "## Toys (`toy`)" in page
    assert '"toy"' in schema
    assert tree.tests("toy", ["tests/config/test_runbooks.py", "tests/alerting/test_alert.py"]) >= 5


CHECK = '''"""`palindrome`: the output reads the same from both ends."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from monitor.criteria.base import Check, Compiled, by_text


class ToyCheck(Check):
    """The output must read the same from both ends."""

    key: ClassVar[str] = "toy"
    example: ClassVar[str] = "{toy: true}"

    toy: bool = Field(description="whether the output must read the same from both ends")

    def compiled(self) -> Compiled:
        """The check made ready."""
        return by_text(lambda text: (text == text[::-1]) != self.toy)

    def violation(self) -> str:
        """What an output that fails does."""
        return "reads differently from its end"
'''
IMPORT_CHECK = "from monitor.criteria.checks.toy import ToyCheck\n"


def test_a_check_is_a_file_and_a_line(tmp_path: Path) -> None:
    tree = CopiedTree(tmp_path)
    tree.write("monitor/criteria/checks/toy.py", CHECK)
    registry = "monitor/criteria/registry.py"
    tree.insert(registry, "from monitor.criteria.checks.one_of import OneOfCheck\n", IMPORT_CHECK)
    tree.insert(registry, "CHECKS: tuple[type[Check], ...] = (\n", "    ToyCheck,\n")

    criteria = "criteria:\n  - {name: mirrored, check: {toy: true}}\n"
    tree.write("criteria.yaml", criteria)
    tree.write("toy.yaml", "streams:\n- match: '*'\n  " + criteria.replace("\n", "\n  ").rstrip() + "\n")
    tree.write("outputs.jsonl", json.dumps({"stream": "s", "output": "level"}) + "\n")
    page, checked, decided = tree.shows(
        "checks.md", ("check-config", "toy.yaml"), ("check", "outputs.jsonl", "--criteria", "criteria.yaml")
    )
    assert "## toy" in page
    assert "whether the output must read the same from both ends" in page
    assert "ok, 1 stream override" in checked
    assert "mirrored" in decided
    assert tree.tests("toy", ["tests/criteria/test_checks.py"]) == 2


EVALUATOR = '''"""Judges by the length of an output."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from monitor.evaluators.base import Answer, Question
from monitor.evaluators.config import EvaluatorConfig


class ToyConfig(EvaluatorConfig):
    """Passes short outputs."""

    EXAMPLE: ClassVar[str] = "name: toy\\nmost: 100\\n"
    kind: Literal["toy"]
    most: int = Field(100, description="longest output that passes, in characters")


class ToyEvaluator:
    """Measures."""

    def __init__(self, config: ToyConfig) -> None:
        self.name = config.name
        self.asks = f"toy {config.most}"
        self._most = config.most

    async def judge(self, question: Question) -> Answer:
        """By length."""
        return Answer(passed=len(question.output) <= self._most)

    async def close(self) -> None:
        """Nothing to release."""


def make(config: ToyConfig) -> ToyEvaluator:
    """Called by the table."""
    return ToyEvaluator(config)
'''
TOY_EVALUATOR = """evaluators: [{kind: toy, name: toys, most: 50}]
streams: [{match: "*", criteria: [{name: brief, pass: is brief, evaluator: toys}]}]
"""


def test_an_evaluator_is_a_file_and_a_line(tmp_path: Path) -> None:
    tree = CopiedTree(tmp_path)
    tree.write("monitor/evaluators/toy.py", EVALUATOR)
    registry = "monitor/evaluators/registry.py"
    config = "from monitor.evaluators.config import EvaluatorConfig\n"
    tree.insert(registry, config, "from monitor.evaluators.toy import ToyConfig\n")
    tree.insert(registry, "EVALUATORS: tuple[type[EvaluatorConfig], ...] = (\n", "    ToyConfig,\n")

    tree.write("toy.yaml", TOY_EVALUATOR)
    tree.write("wrong.yaml", TOY_EVALUATOR.replace("evaluator: toys", "evaluator: toy"))
    page, checked, refused = tree.shows("evaluators.md", ("check-config", "toy.yaml"), ("check-config", "wrong.yaml"))
    assert "longest output that passes, in characters" in page
    assert "ok, 1 stream override" in checked
    assert "wrong.yaml:2 streams[0].criteria[0].evaluator: no evaluator is called toy" in refused
    assert tree.tests("toy", ["tests/evaluators/test_contract.py"]) == 1
