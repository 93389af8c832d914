from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.demo.broker_process import BrokerProcess, free_port
from monitor.errors import BrokerError

LISTEN = "import socket,time; s=socket.socket(); s.bind(('127.0.0.1',int({port}))); s.listen(); time.sleep(60)"


class Pretender(BrokerProcess):
    """A process that listens and says nothing."""

    name = "the pretender"
    start_timeout_s = 20.0
    code = LISTEN

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self.code.format(port=self.port)]


class Dead(Pretender):
    code = "print('out of memory'); raise SystemExit(3)"


def test_it_listens_while_it_runs_and_is_gone_afterwards() -> None:
    with Pretender() as broker:
        folder = broker.folder
        with socket.create_connection(("127.0.0.1", broker.port), timeout=5):
            assert broker.pid > 0
    assert not folder.exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", broker.port), timeout=5)
    broker.stop()


def test_a_given_folder_stays(tmp_path: Path) -> None:
    with Pretender(folder=tmp_path / "kafka") as broker:
        assert broker.log == tmp_path / "kafka" / "broker.log"
    assert broker.log.exists()


def test_one_that_dies_at_once_says_what_it_said() -> None:
    with pytest.raises(BrokerError, match=r"(?s)the pretender did not start .*out of memory"):
        Dead().start()


def test_free_ports_are_free() -> None:
    port = free_port()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


class Deaf(Pretender):
    """Takes long to listen, as Kafka does: another process may be faster."""

    code = "import time; time.sleep(60)"


def test_a_port_that_another_process_holds_is_refused_before_anything_is_started() -> None:
    with Pretender() as other:
        broker = Pretender(port=other.port)
        with pytest.raises(BrokerError, match=rf"another process listens on 127.0.0.1:{other.port}"):
            broker.start()
        with pytest.raises(BrokerError, match="is not running"):
            _ = broker.pid


def test_a_process_that_takes_the_port_meanwhile_is_not_taken_for_the_broker() -> None:
    broker = Deaf()
    with socket.socket() as other:

        def command() -> list[str]:
            other.bind(("127.0.0.1", broker.port))
            other.listen()
            return [sys.executable, "-c", broker.code]

        broker.command = command  # type: ignore[method-assign]
        with pytest.raises(BrokerError, match="another process listens"):
            broker.start()


def test_a_broker_that_was_stopped_starts_on_its_port_again(tmp_path: Path) -> None:
    broker = Pretender(folder=tmp_path)
    for _ in range(2):
        with broker, socket.create_connection(("127.0.0.1", broker.port), timeout=5):
            pass
