"""The section `gate`: what is refused, with its line and key, and what it becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor.actions.policy import Answer, Decide, HoldIf
from monitor.errors import ConfigError
from monitor.settings import load_settings
from scripts.settings_example import PART_EXAMPLES
from tests.settings.test_checks import check

CHECK = "streams: [{match: '*', criteria: [{name: short, check: {feature: output.length.words, most: 9}}]}]\n"


def errors(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "monitor.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_settings(path)
    return [line.removeprefix(f"{path}:") for line in str(raised.value).splitlines()]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("{decide: maybe}", "3 gate.kinds.money.decide: must be 'pass', 'checked' or 'approval'"),
        ("{hold_if: [check]}", "3 gate.kinds.money.decide: is required"),
        ("{decide: pass, hold_if: [check]}", "3 gate.kinds.money.hold_if: has an effect only with `decide: checked`"),
        ("{decide: checked, hold_if: [rule]}", "3 gate.kinds.money.hold_if[0]: must be 'check', 'drift', 'duplicate'"),
        ("{decide: checked, hold_if: [check, check]}", "3 gate.kinds.money.hold_if[1]: stands there twice"),
        ("{decide: checked, two_above: 5}", "3 gate.kinds.money.two_above: has an effect only with `decide: approval`"),
        ("{decide: approval, approvers: 3}", "3 gate.kinds.money.approvers: must be <= 2"),
        ("{decide: approval, on_timeout: pass}", "3 gate.kinds.money.on_timeout: must be hold or fall_back"),
        ("{decide: approval, on_monitor_down: pass}", "3 gate.kinds.money.on_monitor_down: must be hold or fall_back"),
        (
            "{decide: approval, on_unknown: retry}",
            "3 gate.kinds.money.on_unknown: must be ask for a kind that needs approval, unless `downstream_key: true`",
        ),
        (
            "{decide: approval, on_unknown: retry, downstream_key: true}",
            "3 gate.kinds.money.downstream_key: needs `requires: [key]`",
        ),
        ("{decide: checked, expires: 1h, warn_before: 2h}", "3 gate.kinds.money.warn_before: must be shorter than"),
        ("{decide: checked, on_time_out: hold}", "3 gate.kinds.money.on_time_out: unknown key, did you mean `on_timeo"),
        ("{decide: checked, on_expired: pass}", "3 gate.kinds.money.on_expired: must be 'fall_back' or 'hand_over'"),
    ],
)
def test_mistakes_are_refused_with_line_and_key(tmp_path: Path, kind: str, error: str) -> None:
    [found] = errors(tmp_path, f"gate:\n  kinds:\n    money: {kind}\n")
    assert found.startswith(error)


def test_names_and_attempts_are_checked_too(tmp_path: Path) -> None:
    [found] = errors(tmp_path, "gate:\n  kinds: {Money!: {decide: pass}}\n")
    assert found.startswith("2 gate.kinds.Money!: must be a name of 1 to 64 small letters")
    [found] = errors(tmp_path, "gate: {attempts: {voice: {most: 0}}}\n")
    assert found == "1 gate.attempts.voice.most: must be >= 1"


def test_the_example_gives_the_four_costs_of_error(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in PART_EXAMPLES["gate"].splitlines() if re.match(r"# {3,}", line)]
    path = tmp_path / "monitor.yaml"
    path.write_text("gate:\n" + "\n".join(lines))
    policy = load_settings(path).gate.policy
    assert {name: kind.decide for name, kind in policy.kinds.items()} == {
        "draft": Decide.PASS,
        "email": Decide.CHECKED,
        "record": Decide.CHECKED,
        "money": Decide.APPROVAL,
    }
    assert policy.kinds["email"].hold_if == tuple(HoldIf)
    money = policy.kinds["money"]
    assert (money.expires_s, money.warn_before_s, money.on_monitor_down) == (86_400, 7_200, Answer.FALL_BACK)
    assert policy.attempts["voice_intent"].then is Answer.HAND_OVER


def test_a_default_warning_gives_way_to_a_short_wait(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text("gate: {kinds: {email: {decide: checked, expires: 20m}}}\n")
    assert load_settings(path).gate.policy.kinds["email"].warn_before_s == 300


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("{decide: checked}", ["hold_if: holds everything: the state", "hold_if: check holds nothing"]),
        ("{decide: checked, hold_if: [drift]}", ["hold_if: drift is never seen"]),
        ("{decide: checked, hold_if: [duplicate], on_unknown: retry}", ["on_unknown: retry may act twice"]),
        ("{decide: checked, hold_if: [duplicate], least_quality: 0.9}", ["least_quality: holds everything"]),
        ("{decide: pass}", []),
        ("{decide: checked}\nstore: {location: traces}\n" + CHECK, []),
    ],
)
def test_what_holds_everything_or_nothing_is_said(tmp_path: Path, text: str, warnings: list[str]) -> None:
    found_errors, found = check(tmp_path, f"gate:\n  kinds:\n    email: {text}\n")
    assert found_errors == []
    assert len(found) == len(warnings)
    for line, warning in zip(found, warnings, strict=True):
        assert line.startswith(f"3 gate.kinds.email.{warning}")
