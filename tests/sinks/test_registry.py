"""The table of sinks: what each line must bring, and that a new line is all that a new sink needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import monitor.sinks
from monitor.sinks.base import ConfiguredSink, Resources
from monitor.sinks.registry import SINKS, SinkType
from tests.sinks.samples import example_of, http_sinks

ROOT = Path(__file__).parents[2]
FOLDERS = {path.parent.name for path in Path(monitor.sinks.__file__).parent.glob("*/config.py")}
EVERY_SINK = pytest.mark.parametrize("kind", SINKS, ids=lambda kind: kind.name)


def test_every_folder_is_in_the_table() -> None:
    assert sorted(kind.name for kind in SINKS) == sorted(FOLDERS)


@EVERY_SINK
def test_a_sink_is_made_from_its_example(kind: SinkType) -> None:
    config = example_of(kind)
    assert type(config) is kind.config
    sink = kind.sink(config, Resources())
    assert isinstance(sink, ConfiguredSink)
    assert sink.name == config.name


@EVERY_SINK
def test_a_sink_has_a_readme_and_is_checked_by_the_contract_suite(kind: SinkType) -> None:
    assert (ROOT / "monitor/sinks" / kind.name / "README.md").is_file()
    own = ROOT / "tests/sinks" / kind.name / "test_sink.py"
    assert kind in http_sinks() or "check_sink(" in own.read_text()


CONFIG = '''
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, HttpUrl

from monitor.sinks.config import HttpSinkConfig, PeopleSinkConfig, SinkName


class ToySinkConfig(PeopleSinkConfig, HttpSinkConfig):
    """Posts to a toy."""

    EXAMPLE: ClassVar[str] = "url: https://toy.example/${OQM_TOY_KEY}\\n"
    type: Literal["toy"]
    name: SinkName = Field("toy", description="unique")
    url: HttpUrl = Field(description="where the toy listens")
'''
SINK = '''
from __future__ import annotations

from monitor.alerting.alert import Alert, encode
from monitor.sinks.http import HttpSink
from monitor.sinks.toy.config import ToySinkConfig


class ToySink(HttpSink[ToySinkConfig]):
    """Posts to a toy."""

    async def send(self, alert: Alert) -> None:
        """Post the alert."""
        await self._post(str(self._config.url), encode(alert), alert.transition)
'''
LINE = 'from monitor.sinks.toy.config import ToySinkConfig\nSINKS = (*SINKS, SinkType(ToySinkConfig, "ToySink"))\n'


def test_a_new_sink_is_a_folder_and_a_line(tmp_path: Path) -> None:
    """In a copy of the tree: settings, documentation and the contract suite have it without another edit."""
    for part in ("monitor", "pipelines", "scripts", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, copy_function=os.symlink, ignore=shutil.ignore_patterns("*.pyc"))
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    registry, toy = tmp_path / "monitor/sinks/registry.py", tmp_path / "monitor/sinks/toy"
    text = registry.read_text()
    registry.unlink()
    before, after = text.split("\nif TYPE_CHECKING:\n    AnySinkConfig")
    registry.write_text(f"{before}\n{LINE}\nif TYPE_CHECKING:\n    AnySinkConfig{after}")
    toy.mkdir()
    for name, content in {"__init__.py": "", "config.py": CONFIG, "sink.py": SINK, "README.md": "A toy.\n"}.items():
        (toy / name).write_text(content)

    def run(*arguments: str) -> str:
        environ = {**os.environ, "PYTHONPATH": str(tmp_path), "OQM_TOY_KEY": "k"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "#   - type: toy " in run("-m", "scripts.settings_example")
    page = run("-c", "from scripts.build_reference import sinks; print(sinks())")
    assert "## toy" in page
    assert "where the toy listens" in page
    settings = tmp_path / "toy.yaml"
    settings.write_text("sinks:\n  - type: toy\n    url: https://toy.example/${OQM_TOY_KEY}\n")
    assert "toy" in run("-m", "monitor.cli", "check-config", str(settings))
    options = ("-q", "-p", "no:cacheprovider", "-k", "toy")
    assert "passed" in run("-m", "pytest", *options, "tests/sinks/test_failures.py", "tests/sinks/test_registry.py")
