"""What a running worker takes over of changed settings."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.settings import Settings
from pipelines.reload import compare


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize(
    "new",
    [
        {"detection": {"warmup": 300}},
        {"streams": [{"match": "a", "warmup": 300}]},
        {"alerting": {"route": "a", "owner": "b"}},
        {"sinks": [{"type": "log", "format": "json"}]},
        {"maintenance": [{"weekly": {"start": "01:00", "end": "02:00"}}]},
        {"delivery": {"first_retry": "2s"}},
        {"links": {"runbook": "http://x/{runbook}"}},
    ],
    ids=lambda new: next(iter(new)),
)
def test_these_sections_change_while_it_runs(new: dict[str, Any]) -> None:
    change = compare(Settings(), settings(**new))
    assert change.now == list(new)
    assert change.at_restart == []
    assert change.settings == settings(**new)


@pytest.mark.parametrize(
    "new",
    [
        {"broker": {"bootstrap": "other:1"}},
        {"topics": {"replication": 3}},
        {"features": {"families": ["length"]}},
        {"worker": {"detect_batch": 3}},
        {"metrics": {"port": 1}},
    ],
    ids=lambda new: next(iter(new)),
)
def test_these_need_a_restart_and_stay_as_they_were(new: dict[str, Any]) -> None:
    change = compare(Settings(), settings(**new))
    assert (change.now, change.at_restart) == ([], list(new))
    assert change.settings == Settings()


def test_a_file_with_both_changes_what_it_can() -> None:
    new = settings(
        metrics={"port": 1},
        alerting={"route": "a", "group_window": "1h"},
        detection={"warmup": 300},
        streams=[{"match": "x", "route": "b"}],
        sinks=[{"type": "log"}],
    )
    change = compare(Settings(), new)
    assert change.now == ["detection", "alerting", "streams"]
    assert change.at_restart == ["metrics", "alerting.group_window"]
    assert change.settings.for_stream("y").route == "a"
    assert change.settings.for_stream("x").route == "b"
    assert change.settings.for_stream("x").detection.warmup == 300
    assert change.settings.alerting.group_window == Settings().alerting.group_window


@pytest.mark.parametrize("where", ["detection", "streams"])
def test_declared_attributes_are_measured_from_the_next_start_on(where: str) -> None:
    declared = {"attributes": [{"name": "stars", "kind": "number"}]}
    new = settings(**{where: declared if where == "detection" else [{"match": "a"} | declared]})
    change = compare(Settings(), new)
    assert change.at_restart == ["attributes"]
