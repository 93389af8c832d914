"""The services of docker-compose.yml as native processes, with the configuration files that compose mounts.

A real Kafka; featurize, detect and notify each in a process of its own; a real Prometheus that scrapes them and a real
Alertmanager that Prometheus and notify report to. The demo's assistant publishes, then its provider swaps the model.
Only addresses and names of topics differ from compose, and times of Alertmanager and Prometheus that would make a test
wait; and one more worker judges a sample and keeps the trace store, so that the dashboard of quality has data.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.demo.assistant import ANSWER, TRIAGE, SupportAssistant
from monitor.demo.faults import Fault
from monitor.demo.traffic import Traffic
from monitor.publisher import OutputPublisher
from monitor.settings import load_settings
from monitor.settings.paths import config_dir
from monitor.testing.scripted_evaluator import ScriptedEvaluator
from pipelines.kafka.topics import delete_topics, private_topics
from tests.brokers.apache import ApacheKafka
from tests.cli.run_oqm import json_lines, oqm
from tests.config.dashboard import PanelQuery, queries
from tests.kafka.installation import WorkerProcess
from tests.servers import alertmanager, free_port, program, prometheus
from tests.sinks.receiver import Receiver, receiver

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMPOSE = yaml.safe_load((config_dir().parent / "docker-compose.yml").read_text())
RATE = 120.0
JUDGE = "judge"
JUDGES = ["worker", "--role", "judge", "--role", "store"]


class Pager:
    """The receiver of Alertmanager's webhook, in a loop and thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.receiver: Receiver | None = None

    async def _serve(self) -> None:
        async with receiver() as self.receiver:
            self._ready.set()
            await self._done.wait()

    def __enter__(self) -> Pager:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._loop.close()

    def pages(self, receiver: str) -> list[dict[str, Any]]:
        """What one receiver of Alertmanager's configuration was told, in order."""
        assert self.receiver is not None
        return [json.loads(body) for path, _, body in list(self.receiver.requests) if path == f"/{receiver}"]

    @property
    def url(self) -> str:
        assert self.receiver is not None
        return self.receiver.url


@dataclass
class Composed:
    """What runs, and where to ask it."""

    prometheus: str
    alertmanager: str
    pager: Pager
    workers: dict[str, WorkerProcess]
    options: list[str]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Prometheus' answer to an instant query."""
        asked = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{asked}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found

    def oqm(self, *words: str) -> str:
        done = oqm(*words, *self.options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for(self, what: str, condition: Callable[[], Any], within_s: float = 120.0) -> None:
        limit = time.monotonic() + within_s
        while not condition():
            ended = [name for name, worker in self.workers.items() if not worker.running]
            if ended or time.monotonic() > limit:
                logs = "\n".join(worker.log.read_text(errors="replace")[-1500:] for worker in self.workers.values())
                pytest.fail(f"{what}: did not come; ended: {ended}\n{logs}")
            time.sleep(0.3)


def mounted(service: str, into: str) -> Path:
    """What compose mounts there, read-only."""
    (source,) = [
        volume.split(":")[0] for volume in COMPOSE["services"][service]["volumes"] if volume.split(":")[1] == into
    ]
    return config_dir().parent / source


def written(path: Path, data: Any) -> Path:
    path.write_text(yaml.safe_dump(data))
    return path


def alertmanager_files(folder: Path, pager: str) -> Path:
    """As mounted; the receivers filled in, and groups told within a second."""
    data = yaml.safe_load((mounted("alertmanager", "/etc/alertmanager") / "alertmanager.yml").read_text())
    data["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for one in data["receivers"]:
        one["webhook_configs"] = [{"url": f"{pager}/{one['name']}"}]
    return written(folder / "alertmanager.yml", data)


def prometheus_files(folder: Path, ports: dict[str, int], alerts: str) -> Path:
    """As mounted; each service's name becomes the port of its process, and each second is looked at."""
    source = mounted("prometheus", "/etc/prometheus")
    (folder / "rules").mkdir()
    for rules in source.glob("rules/*.yml"):
        data = yaml.safe_load(rules.read_text())
        for group in data["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if rule.get("alert") == "OqmWorkerDown":
                    rule["for"] = "8s"  # on a busy machine a worker that is well misses a scrape or two
        written(folder / "rules" / rules.name, data)
    (file,) = re.findall(r"--config.file=/etc/prometheus/(\S+)", " ".join(COMPOSE["services"]["prometheus"]["command"]))
    data = yaml.safe_load((source / file).read_text())
    data["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (found,) = data["scrape_configs"][0].pop("dns_sd_configs")
    data["scrape_configs"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{ports[name]}" for name in (*found["names"], JUDGE)]}
    ]
    assert data["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
    data["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alerts.removeprefix("http://")]}]}]
    return written(folder / file, data)


def judging(folder: Path, evaluator: str) -> dict[str, Any]:
    """Settings beside those that are mounted: a criterion that an evaluator judges, and the trace store."""
    criterion = {"name": "answers", "pass": "addresses what was asked", "evaluator": "main", "sample": {"uniform": 0.2}}
    return {
        "streams": [{"match": ANSWER, "criteria": [criterion]}],
        "evaluators": [{"kind": "chat", "name": "main", "url": evaluator, "model": "scripted"}],
        "store": {"location": str(folder / "store")},
    }


def worker_files(folder: Path, broker: str, alerts: str, evaluator: str) -> Path:
    """As mounted; names of services become addresses, and topics get names of their own."""
    text = mounted("featurize", "/etc/oqm/monitor.yaml").read_text()
    for name, address in (("kafka:9092", broker), ("http://alertmanager:9093", alerts)):
        assert text.count(name) == 1
        text = text.replace(name, address)
    data = yaml.safe_load(text)
    assert "topics" not in data
    assert not data.keys() & judging(folder, evaluator).keys()
    data |= judging(folder, evaluator)
    path = written(folder / "monitor.yaml", data)
    topics = private_topics(load_settings(path).topics, uuid.uuid4().hex[:8])
    return written(path, {**data, "topics": topics.model_dump(mode="json")})


@pytest.fixture(scope="module")
def composed(kafka_broker: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    for needed in ("prometheus", "prometheus-alertmanager"):
        program(needed)
    folder = tmp_path_factory.mktemp("composed")
    with ExitStack() as stack:
        pager = stack.enter_context(Pager())
        alerts = stack.enter_context(alertmanager(alertmanager_files(folder, pager.url), folder))
        evaluator = stack.enter_context(ScriptedEvaluator())
        config = worker_files(folder, kafka_broker.address, alerts, evaluator.url)
        settings = load_settings(config)
        options = ["--config", str(config)]
        assert COMPOSE["services"]["topics"]["command"] == ["topics"]
        assert oqm("topics", *options).returncode == 0
        stack.callback(delete_topics, settings.broker, settings.topics)
        workers, ports = {}, {}
        for name in ("featurize", "detect", "notify", JUDGE):
            command = JUDGES if name == JUDGE else COMPOSE["services"][name]["command"]
            assert command[0] == "worker"
            ports[name] = free_port()
            own = ["--metrics-port", str(ports[name]), "--session-timeout", str(kafka_broker.session_timeout_s)]
            workers[name] = WorkerProcess([*command[1:], *options, *own], folder / f"{name}.log")
            workers[name].start()
            stack.callback(workers[name].close)
        run = Composed("", alerts, pager, workers, options)
        run.wait_for("all workers ready", lambda: all(worker.is_ready for worker in workers.values()))
        # Only now: while they start, its rules would rightly say that they are down.
        run.prometheus = stack.enter_context(prometheus(prometheus_files(folder, ports, alerts), folder))
        run.wait_for("all workers scraped", lambda: len(run.ask("oqm_worker_ready == 1")) == len(workers))
        publisher = OutputPublisher(kafka_broker.address, settings.topics.outputs.name)
        stack.callback(publisher.close)
        traffic = Traffic(SupportAssistant(7), publisher.publish, RATE, Fault.SILENT_UPDATE)
        traffic.start()
        stack.callback(traffic.stop)
        learned = f'oqm_stream_state{{state="stable", stream=~"{ANSWER}|{TRIAGE}"}}'
        run.wait_for("both streams learned", lambda: len(run.ask(learned)) == 2)
        traffic.start_fault()
        run.wait_for("a page", lambda: pager.pages("on-call"))
        run.wait_for("the drift on /metrics", lambda: run.ask(f'oqm_stream_state{{state="drift", stream="{ANSWER}"}}'))
        run.wait_for("estimates of quality", lambda: run.ask(f'oqm_quality_judged_outputs{{stream="{ANSWER}"}} > 0'))
        yield run


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
def test_each_panel_has_data(composed: Composed, query: PanelQuery) -> None:
    found = composed.ask(query.of(ANSWER))
    assert found, query.expr
    assert all(sample["value"][1] != "NaN" for sample in found), found


def test_the_incident_is_one_page_with_everything_in_it(composed: Composed) -> None:
    page = composed.pager.pages("on-call")[0]
    assert page["status"] == "firing"
    streams = {alert["labels"]["stream"] for alert in page["alerts"]}
    assert streams == {ANSWER}
    (alert,) = page["alerts"]
    assert alert["labels"]["kind"] == "silent_update"
    for words in ("Since ", "What changed", "What to do now", "Before the change", "After the change"):
        assert words in alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"].endswith("runbooks/silent_update.md")
    assert "/d/oqm-stream?var-stream=support-bot%2Fanswer" in alert["generatorURL"]


def test_the_marks_lie_where_the_change_began(composed: Composed) -> None:
    (query,) = [query for query in queries() if query.ref == "annotation"]
    (sample,) = composed.ask(query.of(ANSWER))
    (alert,) = json_lines(composed.oqm("alert", "list", "--json"))
    assert sample["metric"]["alert"] == alert["id"]
    assert abs(float(sample["value"][1]) / 1000 - alert["began_at"]) < 1


def test_a_false_alarm_counts_against_the_budget_that_the_dashboard_shows(composed: Composed) -> None:
    (spent,) = [query for query in queries() if query.name == "stream-Budget spent-A"]
    assert [sample["value"][1] for sample in composed.ask(spent.of(ANSWER))] == ["0"]
    (alert,) = json_lines(composed.oqm("alert", "list", "--json"))
    composed.oqm("alert", "false-alarm", alert["id"], "--by", "ada")
    composed.wait_for(
        "the budget spent", lambda: [s["value"][1] for s in composed.ask(spent.of(ANSWER))] == ["1"], within_s=60
    )
    assert [s["metric"]["kind"] for s in composed.ask("oqm_false_alarms == 1")] == ["silent_update"]
    composed.wait_for("its end told", lambda: composed.pager.pages("on-call")[-1]["status"] == "resolved")


def test_no_rule_about_the_monitor_itself_fires_while_it_is_well(composed: Composed) -> None:
    assert composed.ask('ALERTS{alertstate="firing"}') == []
    assert composed.pager.pages("monitor-operators") == []
    assert len(composed.ask('up{job="oqm"} == 1')) == len(composed.workers)


def test_a_worker_that_dies_is_told_to_the_operators_alone_and_so_is_its_return(composed: Composed) -> None:
    before = len(composed.pager.pages("on-call"))
    worker = composed.workers.pop("featurize")
    worker.kill()
    composed.wait_for("the operators told", lambda: composed.pager.pages("monitor-operators"))
    worker.start()
    composed.workers["featurize"] = worker
    composed.wait_for("its return told", lambda: composed.pager.pages("monitor-operators")[-1]["status"] == "resolved")
    told = composed.pager.pages("monitor-operators")
    assert [page["status"] for page in told] == ["firing", "resolved"]
    assert {alert["labels"]["alertname"] for page in told for alert in page["alerts"]} == {"OqmWorkerDown"}
    assert told[0]["alerts"][0]["annotations"]["runbook_url"].endswith("worker_down.md")
    assert len(composed.pager.pages("on-call")) == before
