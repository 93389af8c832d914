from __future__ import annotations

import re

import pytest
import yaml
from pydantic import BaseModel

from monitor.evaluators.registry import EVALUATORS
from monitor.settings import Settings, load_settings
from monitor.settings.paths import config_dir
from monitor.sinks.registry import SINKS
from scripts.settings_example import EXAMPLES, evaluator_examples, example, sink_examples

FILE = config_dir() / "monitor.yaml"
EVALUATOR = "evaluators: [{kind: classifier, name: main}]\n"


def test_the_shipped_file_is_the_one_the_models_write() -> None:
    assert FILE.read_text() == example(), "run: python -m scripts.settings_example > config/monitor.yaml"


def test_the_shipped_file_equals_the_defaults() -> None:
    assert load_settings(FILE, environ={}).model_dump() == Settings().model_dump()


def paths(model: BaseModel, before: str = "") -> list[str]:
    found = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        found += paths(value, f"{before}{name}.") if isinstance(value, BaseModel) else [before + name]
    return found


@pytest.mark.parametrize("path", paths(Settings()))
def test_every_setting_stands_in_the_shipped_file(path: str) -> None:
    data = yaml.safe_load(FILE.read_text())
    for key in path.split("."):
        assert key in data
        data = data[key]


def test_every_setting_says_what_it_means() -> None:
    def check(model: BaseModel) -> None:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if isinstance(value, BaseModel):
                check(value)
            else:
                assert field.description, f"{type(model).__name__}.{name}"

    check(Settings())


@pytest.mark.parametrize("section", EXAMPLES)
def test_the_examples_in_comments_are_valid(section: str, tmp_path: object) -> None:
    made = {"sinks": lambda: sink_examples(SINKS), "evaluators": lambda: evaluator_examples(EVALUATORS)}
    text = EXAMPLES[section] + "".join(made[section]() if section in made else ())
    lines = [line.removeprefix("# ") for line in text.splitlines() if re.match(r"# {3,}", line)]
    path = FILE.__class__(str(tmp_path)) / "monitor.yaml"
    named = "" if section == "evaluators" else EVALUATOR  # the one that an example of a criterion names
    path.write_text(f"{named}{section}:\n" + "\n".join(lines))
    secrets = {"OQM_EVALUATOR_KEY": "e", "OQM_WEBHOOK_SECRET": "s", "OQM_WEBHOOK_TOKEN": "t", "OQM_SMTP_PASSWORD": "p"}
    secrets |= {"OQM_SLACK_WEBHOOK": "https://hooks.example/services/T/B/x", "OQM_PAGERDUTY_KEY": "k" * 32}
    settings = load_settings(path, environ=secrets)
    assert len(getattr(settings, section)) == sum(line.startswith("  - ") for line in lines)
