from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.settings.paths import config_dir
from monitor.telemetry.server import Health, MetricsServer, Readiness, worker_registry
from tests.config.promql import unknown_metrics
from tests.servers import program, prometheus
from tests.telemetry.numbers import busy

FOLDER = config_dir() / "prometheus"
RULES = [rule for path in sorted(FOLDER.glob("rules/*.yml")) for rule in yaml.safe_load(path.read_text())["groups"]]


def run(*command: str) -> str:
    result = subprocess.run(command, text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    run(program("promtool"), "check", "config", str(FOLDER / name))


def test_rules_name_declared_metrics_only() -> None:
    for group in RULES:
        for rule in group["rules"]:
            assert unknown_metrics(rule["expr"]) == set(), rule


def test_rules_that_read_recorded_series_read_series_that_are_recorded() -> None:
    recorded = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
    for group in RULES:
        for rule in group["rules"]:
            assert set(re.findall(r"\b[a-z_]+:oqm_\w+:\w+", rule["expr"])) <= recorded


def test_alerts_are_about_the_monitor_and_say_what_and_how_bad() -> None:
    alerts = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
    assert len({alert["alert"] for alert in alerts}) == len(alerts) >= 8
    for alert in alerts:
        assert alert["labels"]["component"] == "monitor"
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        # Findings reach Alertmanager by the sink: a rule over a stream's evidence would page for them twice.
        assert "oqm_stream_" not in alert["expr"]
        assert "oqm_feature_reference" not in alert["expr"]


def test_the_rules_fire_and_stay_quiet_as_they_should() -> None:
    run(program("promtool"), "test", "rules", str(Path(__file__).parent / "rules_test.yml"))


def query(url: str, expression: str) -> list[dict[str, Any]]:
    asked = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@pytest.mark.slow
def test_a_real_prometheus_scrapes_a_worker_and_sees_a_fault(tmp_path: Path) -> None:
    program("prometheus")
    numbers = busy()
    registry = worker_registry(numbers, version="1", max_streams=10, max_series=100)
    ready = Readiness(True, "ok", {}, {}, {}, None)
    with MetricsServer(
        registry, lambda: Health(True, "ok"), readiness=lambda: ready, host="127.0.0.1", port=0
    ) as server:
        rules = yaml.safe_load((FOLDER / "rules" / "alerting.yml").read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                rule.pop("for", None)
        (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = ["rules.yml"]
        config["scrape_configs"][0]["file_sd_configs"] = [{"files": ["targets.json"]}]
        (tmp_path / "targets.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{server.port}"]}]))
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        with prometheus(tmp_path / "prometheus.yml", tmp_path) as url:

            def firing() -> set[str]:
                return {sample["metric"]["alertname"] for sample in query(url, 'ALERTS{alertstate="firing"}')}

            def wait_for(alert: str, there: bool) -> None:
                limit = time.monotonic() + 60
                while (alert in firing()) != there:
                    assert time.monotonic() < limit, firing()
                    time.sleep(0.3)

            numbers.pending_deliveries = 0
            numbers.progress_at = time.time() + 3600
            limit = time.monotonic() + 60
            while not query(url, "oqm_worker_ready == 1"):  # before its first scrape, Prometheus is rightly blind
                assert time.monotonic() < limit
                time.sleep(0.2)
            wait_for("OqmBlind", False)
            wait_for("OqmSinkFailing", False)
            numbers.deliveries += Counter({("log", "failed"): 1})
            wait_for("OqmSinkFailing", True)
            assert "OqmWorkerDown" not in firing()
            assert "OqmBlind" not in firing()
            numbers.assigned = False
            wait_for("OqmBlind", True)
            numbers.assigned = True
            wait_for("OqmBlind", False)
