"""The program as a whole: help, version, schemas, configuration, and errors without a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from monitor.cli.output import json_bytes
from tests.cli.run_oqm import one_line_of_error, oqm, oqm_process

COMMANDS = (
    "demo", "worker", "replay", "features", "publish", "topics", "streams", "schema", "check-config", "version",
    "reference", "alert",
)  # fmt: skip


def test_help_names_every_command_and_each_has_help_of_its_own() -> None:
    overview = oqm("--help", COLUMNS="120")
    assert overview.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in overview.stdout
        own = oqm(command, "--help", COLUMNS="120")
        assert own.returncode == 0
        assert "Usage" in own.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("worker",),
        ("topics",),
        ("streams",),
        ("publish",),
        ("replay",),
        ("demo",),
        ("reference", "pin"),
        ("alert", "ack"),
    ],
)
def test_every_command_that_talks_to_kafka_takes_broker_and_security(command: tuple[str, ...]) -> None:
    shown = oqm(*command, "--help", COLUMNS="160", TERM="dumb").stdout
    for option in (
        "--broker", "--security-protocol", "--sasl-mechanism", "--sasl-username", "--sasl-password",
        "--ssl-cafile", "--ssl-certfile", "--ssl-keyfile",
    ):  # fmt: skip
        assert option in shown


def test_version_loads_nothing_heavy() -> None:
    done = oqm_process("version")
    assert done.returncode == 0
    assert done.stdout.startswith("output-quality-monitor ")
    import subprocess
    import sys

    heavy = ("numpy", "faust", "scipy", "kafka", "pydantic", "monitor.events")
    code = f"import sys, monitor.cli.app; print(*[m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""


@pytest.mark.parametrize("record", ["event", "finding", "alert"])
def test_schemas_are_valid_json_schema(record: str) -> None:
    done = oqm("schema", record)
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    Draft202012Validator.check_schema(schema)
    assert "stream" in schema["properties"]
    if record == "event":
        assert oqm("schema").stdout == done.stdout
        Draft202012Validator(schema).validate({"stream": "s", "output": "x"})


def test_the_shipped_configuration_is_checked_by_default_and_an_empty_one_works(tmp_path: Path) -> None:
    done = oqm("check-config")
    assert done.returncode == 0, done.stderr
    assert "monitor.yaml: ok" in done.stdout
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert oqm("check-config", empty).returncode == 0
    shown = oqm("check-config", empty, "--stream", "a/b")
    assert "warmup" in shown.stdout


def test_each_mistake_in_a_configuration_is_a_line(tmp_path: Path) -> None:
    file = tmp_path / "monitor.yaml"
    file.write_text("detection:\n  warmup: 5\nbroker:\n  bootstrap: nowhere\n")
    done = oqm("check-config", file)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "monitor.yaml:2 detection.warmup" in lines[0]
    assert "no such file" in one_line_of_error(oqm("check-config", tmp_path / "gone.yaml")).lower()


def test_wrong_usage_is_told_without_a_traceback() -> None:
    for words in (["nonsense"], ["replay"], ["worker", "--role", "cook"], ["features", "--limit", "0", "x"]):
        done = oqm(*words)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_records_are_valid_json_whatever_they_hold() -> None:
    assert json_bytes({"x": float("nan")}) == b'{"x":null}'
    assert json.loads(json_bytes({"a": ["half \ud83d pair"], "\udc00": 1})) == {"a": ["half ? pair"], "?": 1}
