"""The gate as an application meets it: the real service on a port over a real ledger, with streams that a test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from monitor.actions.policy import StreamState
from monitor.gate import Gate
from monitor.ledger.base import Ledger
from monitor.ledger.open import open_ledger
from monitor.serve.app import build_app
from monitor.serve.context import Services
from monitor.serve.parts import add_parts
from monitor.serve.streams import StreamStates
from monitor.settings import Settings
from monitor.settings.yaml_loader import parse
from tests.servers import free_port

SETTINGS = """
gate:
  kinds:
    draft: {decide: pass, on_timeout: pass, on_monitor_down: pass}
    email: {decide: checked, hold_if: [check, drift, duplicate, unsure], requires: [key], expires: 4h, on_unknown: ask}
    record: {decide: checked, hold_if: [check, drift], requires: [key, undo], on_unknown: retry, downstream_key: true}
    money:
      decide: approval
      two_above: 1000
      requires: [key]
      expires: 24h
      warn_before: 2h
      on_timeout: fall_back
      on_monitor_down: fall_back
      on_unknown: ask
  attempts:
    voice_intent: {most: 2, then: hand_over}
streams:
  - match: outreach/email
    criteria:
      - {name: no_promises, check: {not_matches: "(?i)guaranteed|promise"}}
      - {name: concise, check: {feature: output.length.words, most: 60}}
"""


class Streams(StreamStates):
    """States that a test sets; read a moment ago."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.states: dict[str, StreamState] = {}

    def start(self) -> None:
        """Nothing is read."""

    def state(self, stream: str) -> StreamState:
        return self.states.get(stream) or StreamState(known_at=self._services.clock() - 1)


class Monitor:
    """The service in this process, on a port; it can be stopped and started again, and its clock set forward."""

    def __init__(self, address: str, settings: Settings) -> None:
        self.ahead_s = 0.0
        self._address, self._settings, self.port = address, settings, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: uvicorn.Server | None = None
        self.ledger: Ledger
        self.services: Services
        self.streams: Streams
        self.start()
        self.token = self.ledger.token_create("app", ["gate", "act", "read"], self.now())
        self.people = {
            name: self.ledger.token_create(name, ["approve", "read"], self.now(), person=name)
            for name in ("ann", "ben")
        }

    def now(self) -> float:
        return time.time() + self.ahead_s

    def start(self) -> None:
        self.ledger = open_ledger(self._address)
        self.services = Services(settings=self._settings, ledger=self.ledger, clock=self.now)
        add_parts(self.services)
        self.streams = Streams(self.services)
        self.services.parts[StreamStates] = self.streams
        config = uvicorn.Config(build_app(self.services), port=self.port, log_level="error", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self) -> None:
        """Its end closes the ledger."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None


@contextmanager
def running(address: str, settings: str = SETTINGS) -> Iterator[Monitor]:
    """The service over the ledger at an address."""
    made = Monitor(address, parse(Settings, settings, name="test", environ={}))
    yield made
    made.stop()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    with running(str(tmp_path / "ledger")) as made:
        yield made


@pytest.fixture
def make_gate(monitor: Monitor) -> Iterator[Callable[..., Gate]]:
    """Makes clients of the monitor, which are closed at the end."""
    made: list[Gate] = []

    def make(**options: Any) -> Gate:
        options = {"timeout_s": 20.0, **options}  # a busy machine is no outage
        made.append(Gate(monitor.url, monitor.token, **options))
        return made[-1]

    yield make
    for gate in made:
        gate.timeout_s = 0.2
        gate.close()


@pytest.fixture
def gate(make_gate: Callable[..., Gate]) -> Gate:
    found = make_gate()
    found.refresh()
    return found
