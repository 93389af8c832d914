from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from typer.exceptions import TyperException

from monitor.alerting.rendering.next_steps import next_steps
from monitor.cli.app import build_app
from monitor.detection.diagnosis import classify
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import FeatureChange, FindingKind
from monitor.detection.records.finding_kinds import KINDS
from monitor.features.registry import default_extractors
from monitor.settings.paths import config_dir

FOLDER = config_dir() / "runbooks"
RUNBOOKS = sorted(FOLDER.glob("*.md"))
PAGES = [*RUNBOOKS, *sorted(FOLDER.glob("process/*.md"))]
SECTIONS = [
    "What it means",
    "How to confirm",
    "Usual causes",
    "What to do now",
    "What to do after",
    "How to accept or roll back",
]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("kind", list(FindingKind))
def test_every_kind_of_finding_has_its_runbook(kind: FindingKind) -> None:
    for name in (kind.value, *(narrower.name for narrower in KINDS[kind].narrower)):
        assert (FOLDER / f"{name}.md").is_file()


@pytest.mark.parametrize(
    "name",
    [
        *("lag", "unrouted", "dead_letters", "worker_down", "monitor_blind", "sink_failures", "feature_failures"),
        *("prompt_brittleness", "cascade", "process/change_a_prompt", "times_behind"),
        *("stream_failed", "too_many_streams"),
    ],
)
def test_there_are_runbooks_for_what_is_no_kind_of_finding(name: str) -> None:
    assert (FOLDER / f"{name}.md").is_file()


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_can_be_reached(path: Path) -> None:
    """By a kind of finding, what an explanation or a rule says, or another runbook's link."""
    rules = yaml.safe_load((config_dir() / "prometheus" / "rules" / "alerting.yml").read_text())["groups"][0]["rules"]
    named = {kind.value for kind in FindingKind}
    named |= {Path(rule["annotations"]["runbook_url"]).stem for rule in rules}
    named |= {narrower.name for info in KINDS.values() for narrower in info.narrower}
    named |= {Path(t).stem for other in PAGES if other != path for t in re.findall(r"\]\(([^)]+)\)", other.read_text())}
    assert path.stem in named


def test_messy_input_leads_to_its_own_runbook() -> None:
    declared = DeclaredFeatures(spec for family in default_extractors() for spec in family.features)
    noise = FeatureChange("input.noise.score", 0.1, 0.4, 5.0)
    length = FeatureChange("input.length.chars", 10.0, 40.0, 5.0)
    assert classify.runbook_of(FindingKind.INPUT_DRIFT, [length, noise], declared) == "runbooks/prompt_brittleness.md"
    assert classify.runbook_of(FindingKind.INPUT_DRIFT, [length], declared) == "runbooks/input_drift.md"
    assert (FOLDER / "prompt_brittleness.md").is_file()


def test_every_alert_of_prometheus_links_to_a_runbook_that_is_there() -> None:
    rules = yaml.safe_load((config_dir() / "prometheus" / "rules" / "alerting.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert (config_dir().parent / rule["annotations"]["runbook_url"]).is_file(), rule["alert"]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_answers_the_same_questions_in_the_same_order(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert re.findall(r"(?m)^## (.*)$", text) == SECTIONS
    for section in re.split(r"(?m)^## .*$", text)[1:]:
        assert section.strip()
    assert BLOCK.search(text.split("## How to confirm")[1].split("## Usual causes")[0]) or "confirm" not in path.stem


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_between_runbooks_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        assert (path.parent / target).is_file(), target


def commands(text: str) -> list[list[str]]:
    """Words of each `oqm` command in the shell blocks, up to a pipe or a redirection."""
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("oqm ")]
    return [shlex.split(re.split(r"[|>]", line)[0], comments=True) for line in lines]


def check(words: list[str]) -> None:
    """The command exists and takes these arguments and options; it is parsed, and not run."""
    command: Any = typer.main.get_command(build_app())
    rest = words[1:]
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        if command.invoke_without_command and (not rest or rest[0].startswith("-")):
            break  # a command of its own, which has subcommands too
        assert rest, words
        assert rest[0] in command.commands, f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    with command.make_context(" ".join(words), list(rest)):  # raises for what it does not take
        pass


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_commands_in_runbooks_can_be_given(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(path.read_text()):
        check(words)


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    for words in (
        ["oqm", "strems"],
        ["oqm", "streams", "--onse"],
        ["oqm", "streams", "remove"],
        ["oqm", "streams", "delete", "s"],
        ["oqm", "reference", "reject", "s"],
        ["oqm", "reference", "pin"],
        ["oqm", "features", "f.jsonl", "--limit", "many"],
    ):
        with pytest.raises((AssertionError, TyperException)):
            check(words)


@pytest.mark.parametrize("kind", list(FindingKind))
def test_commands_in_alerts_exist(kind: FindingKind) -> None:
    for step in next_steps(kind, "a/b"):
        if "oqm " in step:
            check(shlex.split("oqm " + step.split("oqm ", 1)[1]))
