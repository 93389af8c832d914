from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings

TEXT = """\
alerting: {owner: everyone, route: default}
detection: {warmup: 600, floors: {number: 0.5}}
streams:
  - match: "support-*"
    owner: support
    floors: {flag: 0.1}
    alert_budget: 2 per 7d
  - match: "*-beta"
    route: quiet
    floors: {number: 2}
    exclude: [output.tone.*]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "monitor.yaml"
    path.write_text(TEXT)
    return load_settings(path)


def test_a_stream_that_no_pattern_matches_has_the_defaults(settings: Settings) -> None:
    stream = settings.for_stream("billing/answer")
    assert (stream.owner, stream.route) == ("everyone", "default")
    assert stream.detection is settings.detection


def test_an_override_changes_only_what_it_names(settings: Settings) -> None:
    detection = settings.for_stream("support-eu").detection
    assert detection.alert_budget == (2.0, 7 * 86_400.0)
    assert (detection.warmup, detection.floors.number, detection.floors.flag) == (600, 0.5, 0.1)


def test_the_later_of_two_matching_overrides_wins_key_by_key(settings: Settings) -> None:
    stream = settings.for_stream("support-beta")
    assert (stream.owner, stream.route) == ("support", "quiet")
    assert (stream.detection.floors.number, stream.detection.floors.flag) == (2.0, 0.1)
    assert stream.detection.exclude == ("output.tone.*",)
    assert stream.detection.alert_budget == (2.0, 7 * 86_400.0)


def test_streams_with_the_same_overrides_share_one_object(settings: Settings) -> None:
    assert settings.for_stream("support-a").detection is settings.for_stream("support-b").detection


def test_names_are_matched_by_case(settings: Settings) -> None:
    assert settings.for_stream("Support-eu").owner == "everyone"


def test_an_override_is_checked_like_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text("streams:\n- match: x\n  warmup: 3\n")
    with pytest.raises(ConfigError, match=r"monitor.yaml:3 streams\[0\].warmup: must be >= 100"):
        load_settings(path)
