"""The client while the monitor is down, slow or strange: named answers, and a journal that catches up."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from monitor.actions.policy import Answer
from monitor.actions.states import State
from monitor.errors import ConfigError
from monitor.gate import Gate, GateRefused, Held
from monitor.gate.journal import Journal, JournalError
from tests.gate.conftest import Monitor
from tests.servers import free_port

CODES = list[str]


def asked(gate: Gate, kind: str, **more: object) -> tuple[str, CODES]:
    answer = gate.ask(kind, **more)  # type: ignore[arg-type]
    return answer.answer.value, [one.code for one in answer.reasons]


def test_a_monitor_that_was_never_reached_holds_everything(tmp_path: Path) -> None:
    with Gate(f"http://127.0.0.1:{free_port()}", "t", cache=tmp_path, timeout_s=5) as gate:
        for kind in ("draft", "money", "anything"):
            assert asked(gate, kind, key=f"{kind}:1") == ("hold", ["monitor_down", "no_policy"])
        answer = gate.failed_attempt("voice_intent", "call-1", 1)
        assert answer.answer is Answer.HAND_OVER
        assert len(gate.journal.waiting()) == 4


def test_a_monitor_that_is_down_gets_the_named_answers_and_later_everything(
    monitor: Monitor, make_gate: Callable[..., Gate], tmp_path: Path
) -> None:
    gate = make_gate(cache=tmp_path)
    gate.refresh()
    monitor.stop()
    sent = []

    @gate.action("draft", key="draft:{name}", stream="drafts", text="text")
    def save(name: str, text: str) -> str:
        sent.append(name)
        return f"saved {name}"

    @gate.action("email", key="email:{to}", stream="outreach/email", text="text", target="to")
    def send(to: str, text: str) -> None:
        sent.append(to)

    assert save("a", "some text") == "saved a"
    with pytest.raises(Held) as held:
        send("anna@x.example", "Shall we talk on Tuesday?")
    assert [one.code for one in held.value.reasons] == ["monitor_down"]
    assert asked(gate, "money", key="pay:1", fields={"amount": 5}) == ("fall_back", ["monitor_down"])
    assert sent == ["a"]
    assert [entry.what for entry in gate.journal.waiting()] == ["gate", "ran", "gate", "gate"]

    monitor.start()
    assert gate.catch_up() == 0
    assert gate.journal.is_empty()
    done = monitor.ledger.get("default", "draft:a")
    assert (done.state, done.result) == (State.DONE, b'"saved a"')
    assert done.reasons[0].startswith("monitor_down: ")
    # The e-mail was held because nobody could be asked; now it is decided, and runs when it is called again.
    assert monitor.ledger.get("default", "email:anna@x.example").state is State.ALLOWED
    send("anna@x.example", "Shall we talk on Tuesday?")
    assert sent == ["a", "anna@x.example"]
    # What the application did without is in the audit log, and no action that somebody could approve.
    assert [one.subject for one in monitor.ledger.audit() if one.what == "answered_alone"][-1] == "gate:default/pay:1"
    assert not [one for one in monitor.ledger.list() if one.key == "pay:1"]
    assert save("a", "some text") == "saved a"
    assert sent == ["a", "anna@x.example"]
    assert monitor.ledger.verify_audit() is None


def test_entries_that_are_sent_twice_change_nothing(
    monitor: Monitor, make_gate: Callable[..., Gate], tmp_path: Path
) -> None:
    gate = make_gate(cache=tmp_path)
    gate.refresh()
    monitor.stop()
    gate.ask("draft", key="draft:1", output="x")
    content = (tmp_path / "journal.jsonl").read_bytes()
    monitor.start()
    for _ in range(2):  # a crash between sending and noting that it was sent
        (tmp_path / "journal.jsonl").write_bytes(content)
        assert gate.catch_up() == 0
    assert [one.key for one in monitor.ledger.list()] == ["draft:1"]


def test_the_policy_outlives_the_process(monitor: Monitor, make_gate: Callable[..., Gate], tmp_path: Path) -> None:
    make_gate(cache=tmp_path).refresh()
    monitor.stop()
    later = make_gate(cache=tmp_path)
    assert asked(later, "draft", key="d") == ("pass", ["monitor_down"])
    (tmp_path / "policy.json").write_bytes(b"{")
    assert asked(make_gate(cache=tmp_path), "draft", key="d") == ("hold", ["monitor_down", "no_policy"])


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that gives each connection to `answer`."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in connections:
            connection.close()


def silent(connection: socket.socket) -> None:
    """Takes the request and says nothing."""


def dripping(connection: socket.socket) -> None:
    """One byte now and then: each wait is short, and the answer never complete."""

    def drip() -> None:
        try:
            for _ in range(10_000):
                connection.sendall(b"H")
                stop.wait(0.02)
        except OSError:
            return

    stop = threading.Event()
    threading.Thread(target=drip, daemon=True).start()


def says(content: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(content)
        connection.close()

    return answer


def with_policy(url: str, monitor: Monitor, tmp_path: Path, **options: object) -> Gate:
    """A client that has met the monitor before, and now finds something else at its address."""
    kept = {"etag": '"x"', "policy": msgspec.to_builtins(monitor.services.settings.gate.policy)}
    (tmp_path / "policy.json").write_text(json.dumps(kept))
    return Gate(url, "t", cache=tmp_path, refresh_s=1000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [silent, dripping])
def test_a_monitor_that_is_too_slow_gets_the_answer_named_for_that(
    answer: Callable[[socket.socket], None], monitor: Monitor, tmp_path: Path
) -> None:
    with listening(answer) as url:
        gate = with_policy(url, monitor, tmp_path, timeout_s=0.3)
        assert asked(gate, "draft", key="d") == ("pass", ["timeout"])
        assert asked(gate, "email", key="e") == ("hold", ["timeout"])
        assert asked(gate, "money", key="m") == ("fall_back", ["timeout"])
        gate.close()


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",  # a proxy's: it has no problem of ours
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"",
    ],
)
def test_what_is_not_the_monitor_is_no_answer(content: bytes, monitor: Monitor, tmp_path: Path) -> None:
    with listening(says(content)) as url:
        gate = with_policy(url, monitor, tmp_path, timeout_s=10)
        assert asked(gate, "email", key="e") == ("hold", ["monitor_down"])
        gate.close()


def test_a_token_that_is_wrong_is_an_error_and_no_outage(monitor: Monitor) -> None:
    with Gate(monitor.url, "wrong", timeout_s=10) as gate, pytest.raises(GateRefused, match="token"):
        gate.ask("draft", key="d")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"url": "monitor:8086"}, "must be a URL such as"),
        ({"url": "http://monitor:99999"}, "port"),
        ({"token": ""}, "oqm token create"),
        ({"token": "a\r\nX: y"}, "oqm token create"),
        ({"url": "https://monitor", "ca_file": "/no/such"}, "ca_file='/no/such'.: cannot be read"),
        ({"timeout_s": 0}, "timeout_s and refresh_s must be above 0"),
        ({"lease_s": 1e9}, "lease_s"),
        ({"cache": "/proc/nowhere"}, "cannot be used for the journal"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, object], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        Gate(**{"url": "http://monitor:8086", "token": "t", **options})  # type: ignore[arg-type]


def test_a_line_that_a_crash_cut_off_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path)
    journal.append("gate", "a", 1.0, b"{}")
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"id": "half')
    journal.append("gate", "b", 2.0, b"{}")
    assert [one.key for one in journal.waiting()] == ["a", "b"]
    with caplog.at_level(logging.ERROR), journal.sending():
        pass
    assert (tmp_path / "journal.unreadable").read_bytes() == b'{"id": "half\n'
    assert [one.key for one in Journal(tmp_path).waiting()] == ["a", "b"]


def test_a_full_journal_is_said_in_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.gate.journal.MAX_BYTES", 10)
    with pytest.raises(JournalError, match="is full"):
        Journal(tmp_path).append("gate", "a", 1.0, b"{}")
    with Gate(f"http://127.0.0.1:{free_port()}", "t", cache=tmp_path) as gate:
        assert asked(gate, "email", key="e") == ("hold", ["monitor_down", "no_policy", "journal"])


def test_one_process_at_a_time_sends(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)
    with one.sending() as first:
        with other.sending() as second:
            assert (first, second) == (True, False)
        other.append("gate", "a", 1.0, b"{}")  # adding never waits for sending
    assert [entry.key for entry in one.waiting()] == ["a"]


def test_a_forked_process_asks_by_itself(monitor: Monitor, gate: Gate) -> None:
    gate.ask("draft", key="parent")
    child = os.fork()
    if child == 0:
        os._exit(0 if gate.ask("draft", key="child").answer is Answer.PASS else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert gate.ask("draft", key="parent").answer is Answer.PASS
    assert {one.key for one in monitor.ledger.list()} == {"parent", "child"}
