from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from monitor.alerting.guidance import next_steps
from monitor.cli.app import build_app
from monitor.config_files import config_dir
from monitor.detection.finding import FindingKind

FOLDER = config_dir() / "runbooks"
RUNBOOKS = sorted(FOLDER.glob("*.md"))
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
    assert (FOLDER / f"{kind.value}.md").is_file()


@pytest.mark.parametrize("name", ["lag", "dead_letters", "worker_down", "monitor_blind", "sink_failures"])
def test_the_monitor_itself_has_runbooks(name: str) -> None:
    assert (FOLDER / f"{name}.md").is_file()


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


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_links_between_runbooks_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        assert (FOLDER / target).is_file(), target


def commands(text: str) -> list[list[str]]:
    """Words of each `oqm` command in the shell blocks, up to a pipe or a redirection."""
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines() if line.startswith("oqm ")]
    return [shlex.split(re.split(r"[|>]", line)[0], comments=True) for line in lines]


def check(words: list[str]) -> None:
    """The command exists and takes these options; nothing is run."""
    command: Any = typer.main.get_command(build_app())
    rest = words[1:]
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        assert rest, words
        assert rest[0] in command.commands, f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("-"):
            assert word in known, f"{' '.join(words)}: no option {word}"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_commands_in_runbooks_exist(path: Path) -> None:
    for words in commands(path.read_text()):
        check(words)


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    for words in (["oqm", "strems"], ["oqm", "streams", "--onse"], ["oqm", "reference", "reject", "s"]):
        with pytest.raises(AssertionError):
            check(words)


@pytest.mark.parametrize("kind", list(FindingKind))
def test_commands_in_alerts_exist(kind: FindingKind) -> None:
    for step in next_steps(kind, "a/b"):
        if "oqm " in step:
            check(shlex.split("oqm " + step.split("oqm ", 1)[1]))
