"""`oqm alert test`: a sample through a sink of the settings, without Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.run_oqm import one_line_of_error, oqm
from tests.sinks.pager import KEY, Pager, listening


@pytest.fixture
def pager() -> Iterator[Pager]:
    with listening() as pager:
        yield pager


@pytest.fixture
def config(tmp_path: Path, pager: Pager) -> Path:
    file = tmp_path / "monitor.yaml"
    file.write_text(yaml.safe_dump({"sinks": [{"type": "log"}, pager.sink]}))
    return file


def test_a_sample_rings_and_resolves(config: Path, pager: Pager) -> None:
    done = oqm("alert", "test", "--sink", "pagerduty", "--config", config)
    assert done.returncode == 0, done.stderr
    assert [event["event_action"] for event in pager.events] == ["trigger", "resolve"]
    assert "this is a test, nothing is wrong" in pager.events[0]["payload"]["summary"]
    assert len({event["dedup_key"] for event in pager.events}) == 1
    assert f"delivered to pagerduty: firing and resolved, alert {pager.events[0]['dedup_key']}" in done.stderr


def test_each_run_is_an_alert_of_its_own(config: Path, pager: Pager) -> None:
    for _ in range(2):
        assert oqm("alert", "test", "--sink", "pagerduty", "--keep-firing", "--config", config).returncode == 0
    assert [event["event_action"] for event in pager.events] == ["trigger", "trigger"]
    assert len({event["dedup_key"] for event in pager.events}) == 2


def test_the_log_sink_shows_it_here() -> None:
    done = oqm("alert", "test", "--sink", "log")
    assert done.returncode == 0
    assert "FIRING warning  oqm-test" in done.stdout
    assert "RESOLVED  oqm-test" in done.stdout


def test_a_receiver_that_refuses_is_one_line(config: Path, pager: Pager) -> None:
    pager.status = 400
    line = one_line_of_error(oqm("alert", "test", "--sink", "pagerduty", "--config", config))
    assert "answered 400" in line
    assert KEY not in line


def test_an_unknown_sink_is_answered_with_those_that_are_there(config: Path) -> None:
    line = one_line_of_error(oqm("alert", "test", "--sink", "nope", "--config", config))
    assert line.endswith("no such sink in the settings, there are: log, pagerduty")
