"""`oqm check-config` as its users call it: errors, warnings, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run_oqm import oqm

ROUTE = "streams: [{match: 'support-*', route: suport}]\nsinks: [{type: log, routes: [support, default]}]\n"


def run(tmp_path: Path, text: str, *options: str) -> tuple[int, str, str]:
    file = tmp_path / "monitor.yaml"
    file.write_text(text)
    done = oqm("check-config", file, *options)
    return done.returncode, done.stdout, done.stderr


def test_a_route_that_reaches_nobody_is_refused_with_its_line(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, ROUTE)
    assert (code, out) == (2, "")
    assert "monitor.yaml:1 streams[0].route: route suport reaches nobody" in err
    assert "did you mean `support`?" in err


def test_a_worker_does_not_start_with_it(tmp_path: Path) -> None:
    file = tmp_path / "monitor.yaml"
    file.write_text(ROUTE)
    done = oqm("worker", "--config", file, "--broker", "127.0.0.1:1")
    assert done.returncode == 2
    assert "route suport reaches nobody" in done.stderr


def test_warnings_are_printed_as_warnings_and_pass_unless_strict(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "worker: {stuck_after: 5}\n")
    assert code == 0
    assert "can be used, 2 warnings" in out
    assert [line.split(" ")[0] for line in err.splitlines()] == ["warning:", "warning:"]
    assert "monitor.yaml:1 worker.stuck_after: has no unit and is taken as 5 seconds" in err
    assert run(tmp_path, "worker: {stuck_after: 5}\n", "--strict")[0] == 1
    assert run(tmp_path, "", "--strict")[0] == 0


def test_the_version_can_be_asked_for_as_an_option() -> None:
    asked, command = oqm("--version"), oqm("version")
    assert (asked.returncode, asked.stdout) == (0, command.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_printed(shell: str) -> None:
    done = oqm("--show-completion", shell)
    assert done.returncode == 0
    assert "oqm" in done.stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("topics", "--broker", ""), "--broker is empty"),
        (("replay", "x.jsonl", "--broker", ""), "--broker is empty"),
        (("topics", "--security-protocol", ""), "--security-protocol is empty"),
        (("worker", "--metrics-host", ""), "--metrics-host is empty"),
        (("topics", "--sasl-password", "a", "--sasl-password-file", "b"), "both set"),
        (("topics", "--sasl-password-file", "/no/such/file"), "--sasl-password-file: /no/such/file cannot be read"),
        (("topics", "--sasl-mechanism", "GSSAPI"), "broker sasl.mechanism: must be 'PLAIN'"),
        (("topics", "--broker", "http://localhost:9092"), "host:port"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused_in_one_line(command: tuple[str, ...], says: str) -> None:
    done = oqm(*command)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
