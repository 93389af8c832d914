"""The table of sinks: what each line must bring, and that a new line is all that a new sink needs."""

from __future__ import annotations

from pathlib import Path

import pytest

import monitor.sinks
from monitor.sinks.base import ConfiguredSink, Resources
from monitor.sinks.registry import SINKS, SinkType
from tests.additions.copied_tree import CopiedTree
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
IMPORT = "from monitor.sinks.toy.config import ToySinkConfig\n"
LINE = '    SinkType(ToySinkConfig, "ToySink"),\n'


def test_a_new_sink_is_a_folder_and_a_line(tmp_path: Path) -> None:
    """In a copy of the tree: settings, documentation and the contract suite have it without another edit."""
    tree = CopiedTree(tmp_path)
    for name, content in {"__init__.py": "", "config.py": CONFIG, "sink.py": SINK, "README.md": "A toy.\n"}.items():
        tree.write(f"monitor/sinks/toy/{name}", content)
    registry = "monitor/sinks/registry.py"
    tree.insert(registry, "from monitor.sinks.slack.config import SlackSinkConfig\n", IMPORT)
    tree.insert(registry, "SINKS = (\n", LINE)

    tree.write("toy.yaml", "sinks:\n  - type: toy\n    url: https://toy.example/x\n")
    page, checked = tree.shows("sinks.md", ("check-config", "toy.yaml"))
    assert "## toy" in page
    assert "where the toy listens" in page
    assert "sinks: toy (toy)" in checked
    assert "#   - type: toy " in tree.run("-m", "scripts.settings_example")
    assert tree.tests("toy", ["tests/sinks/test_failures.py", "tests/sinks/test_registry.py"]) >= 3
