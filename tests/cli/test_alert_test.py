"""`oqm alert test`: a sample through a sink of the settings, without Kafka."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.run_oqm import one_line_of_error, oqm

KEY = "k" * 32


class Pager(ThreadingHTTPServer):
    """Answers each post with the next status; keeps the bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.status = 202


class _Handler(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def pager() -> Iterator[Pager]:
    with Pager() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def config(tmp_path: Path, pager: Pager) -> Path:
    sinks = [
        {"type": "log"},
        {"type": "pagerduty", "routing_key": KEY, "url": f"http://127.0.0.1:{pager.server_port}/v2/enqueue"},
    ]
    file = tmp_path / "monitor.yaml"
    file.write_text(yaml.safe_dump({"sinks": sinks}))
    return file


def test_a_sample_rings_and_resolves(config: Path, pager: Pager) -> None:
    done = oqm("alert", "test", "--sink", "pagerduty", "--config", config)
    assert done.returncode == 0, done.stderr
    assert [body["event_action"] for body in pager.bodies] == ["trigger", "resolve"]
    assert "this is a test, nothing is wrong" in pager.bodies[0]["payload"]["summary"]
    assert len({body["dedup_key"] for body in pager.bodies}) == 1
    assert f"delivered to pagerduty: firing and resolved, alert {pager.bodies[0]['dedup_key']}" in done.stderr


def test_each_run_is_an_alert_of_its_own(config: Path, pager: Pager) -> None:
    for _ in range(2):
        assert oqm("alert", "test", "--sink", "pagerduty", "--keep-firing", "--config", config).returncode == 0
    assert [body["event_action"] for body in pager.bodies] == ["trigger", "trigger"]
    assert len({body["dedup_key"] for body in pager.bodies}) == 2


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
