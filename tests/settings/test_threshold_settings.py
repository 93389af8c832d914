"""Fixed thresholds in the settings: from detection, overrides and criteria; mistakes with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings
from monitor.settings.checks import load_checked
from monitor.settings.criteria_file import load_criteria, with_criteria
from tests.cli.run_oqm import oqm

FAST = {"name": "fast", "feature": "call.latency.total_s", "p95": "< 3s"}
POLITE = {"name": "polite", "check": {"contains": "regards"}, "share": "< 2%", "window": "30m"}


def names(settings: Settings, stream: str) -> list[str]:
    return [threshold.name for threshold in settings.for_stream(stream).detection.thresholds]


def test_a_share_of_a_criterion_is_a_threshold_of_its_streams() -> None:
    settings = Settings.model_validate(
        {"detection": {"thresholds": [FAST]}, "streams": [{"match": "mail-*", "criteria": [POLITE]}]}
    )
    assert names(settings, "chat") == ["fast"]
    assert names(settings, "mail-a") == ["fast", "polite"]
    polite = settings.for_stream("mail-a").detection.thresholds[-1]
    assert (polite.feature, polite.share, polite.window) == ("output.check.polite", "< 2%", "30m")


def test_of_one_name_the_threshold_that_is_written_out_holds() -> None:
    written = {"name": "polite", "feature": "output.check.polite", "share": "< 9%"}
    settings = Settings.model_validate({"streams": [{"match": "*", "criteria": [POLITE], "thresholds": [written]}]})
    (found,) = settings.for_stream("s").detection.thresholds
    assert found.share == "< 9%"


def test_later_criteria_of_the_same_name_replace_the_limit_too() -> None:
    later = {**POLITE, "share": "< 5%"}
    settings = Settings.model_validate(
        {"streams": [{"match": "*", "criteria": [POLITE]}, {"match": "mail-*", "criteria": [later]}]}
    )
    assert [t.share for t in settings.for_stream("mail-a").detection.thresholds] == ["< 5%"]


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ('{name: a, feature: call.latency.totals, p95: "< 3s"}', ":3 detection.thresholds[0].feature: no feature is"),
        ('{name: a, feature: call.latency.total_s, share: "< 3%"}', ":3 detection.thresholds[0].share: call.latency"),
        ('{name: a, feature: call.cost.usd, mean: "< 3s"}', "call.cost.usd is in USD, and the limit is in s"),
        ('{name: a, feature: output.check.none, share: "< 3%"}', "no criterion with a check has the feature"),
        ('{name: a, feature: call.outcome.finish_reason, share: "< 3%"}', "is a category: give the value"),
        ('{name: a, feature: output.tone.refusal, mean: "< 3"}', "is a flag, true or false of an event"),
        ('{name: a, feature: output.embedding.mean, mean: "< 3"}', "no feature is called output.embedding.mean"),
        ('{name: a, feature: call.latency.total_s, p95: "3s"}', ":3 detection.thresholds[0].p95: must be a limit"),
    ],
)
def test_mistakes_have_file_line_and_key(tmp_path: Path, entry: str, line: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(f"detection:\n  thresholds:\n    - {entry}\n")
    with pytest.raises(ConfigError) as wrong:
        load_checked(path)
    assert str(path) in str(wrong.value)
    assert line in str(wrong.value)


def test_what_is_valid_is_shown_with_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "detection:\n  thresholds:\n"
        '    - {name: fast, feature: call.latency.total_s, p95: "< 3s", window: 30m}\n'
        '    - {name: own, feature: attributes.rating, mean: "> 3"}\n'
        '    - {name: at, feature: attributes.request_time, mean: "> 3"}\n'
        'streams:\n  - match: "mail-*"\n    criteria:\n'
        '      - {name: polite, check: {contains: regards}, share: "< 2%"}\n'
    )
    shown = oqm("check-config", str(path))
    assert shown.returncode == 0
    assert "threshold fast: p95 of call.latency.total_s < 3s over 30m, judged from 40 events on" in shown.stdout
    assert "mail-*: threshold polite: share of output.check.polite < 2% over 500 events" in shown.stdout
    assert "thresholds[2].feature: the name request_time is that of an identifier or a time" in shown.stderr
    assert "thresholds[1]" not in shown.stderr


def test_a_file_of_criteria_may_hold_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "criteria.yaml"
    path.write_text('thresholds:\n  - {name: fast, feature: call.latency.total_s, max: "< 3s"}\n')
    settings = with_criteria(load_settings(None), load_criteria(path))
    assert names(settings, "any") == ["fast"]
    path.write_text('thresholds:\n  - {name: fast, feature: call.latency.total_s, max: "< 3%"}\n')
    with pytest.raises(ConfigError, match=r"criteria.yaml:2 thresholds\[0\].max: only a share is in per cent"):
        load_criteria(path)
