from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding_kinds import KINDS
from monitor.settings.paths import config_dir
from tests.servers import program

FILE = config_dir() / "alertmanager" / "alertmanager.yml"


def amtool(*arguments: str) -> str:
    result = subprocess.run([program("amtool"), *arguments], text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


def test_amtool_accepts_the_configuration() -> None:
    amtool("check-config", str(FILE))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["kind=drift", "route=default", "incident=1"], "on-call"),
        (["kind=drift", "route=quiet", "incident=1"], "tickets"),
        (["alertname=OqmLag", "component=monitor"], "monitor-operators"),
    ],
)
def test_alerts_are_routed(labels: list[str], receiver: str) -> None:
    assert amtool("config", "routes", "test", f"--config.file={FILE}", *labels) == receiver


def test_rules_speak_of_labels_that_alerts_have() -> None:
    config = yaml.safe_load(FILE.read_text())
    known = {*sample_alert().labels, "incident", "component"}
    matchers = [m for rule in config["inhibit_rules"] for m in (*rule["source_matchers"], *rule["target_matchers"])]
    named = {re.split(r"[=!]", matcher)[0] for matcher in matchers}
    named |= {label for rule in config["inhibit_rules"] for label in rule.get("equal", [])}
    named |= set(config["route"]["group_by"])
    assert named <= known


def inhibited(rule: dict[str, Any]) -> set[tuple[str, str, bool]]:
    """Pairs of kinds (source, target) of a rule within a stream, and whether critical alerts are left alone."""
    sides: dict[str, list[str]] = {"source_matchers": [], "target_matchers": []}
    for side, kinds in sides.items():
        for matcher in rule[side]:
            found = re.fullmatch(r'kind=~?"(.+)"', matcher)
            kinds += found[1].split("|") if found else []
    spares = 'severity!="critical"' in rule["target_matchers"]
    return {(source, target, spares) for source in sides["source_matchers"] for target in sides["target_matchers"]}


def test_rules_inhibit_what_a_kind_explains() -> None:
    rules = yaml.safe_load(FILE.read_text())["inhibit_rules"]
    written = set[tuple[str, str, bool]]().union(
        *(inhibited(rule) for rule in rules if rule.get("equal") == ["stream"])
    )
    assert written == {
        (kind.value, target.value, info.explains_unless_critical)
        for kind, info in KINDS.items()
        for target in info.explains
    }


def test_it_notifies_nobody_until_a_receiver_is_filled_in() -> None:
    assert all(list(receiver) == ["name"] for receiver in yaml.safe_load(FILE.read_text())["receivers"])
