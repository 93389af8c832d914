"""Secrets from files: wherever a secret can stand, read at the start, never with its value in a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings

KEY = "k" * 32
PLACES = [
    ("broker: {security: SASL_SSL, sasl: {username: a, password_file: FILE}}", "s3cret", "broker.sasl.password"),
    ("broker: {ssl: {key_password_file: FILE}}", "s3cret", "broker.ssl.key_password"),
    ("sinks: [{type: slack, url_file: FILE}]", "https://hooks.example/s3cret", "sinks.0.url"),
    ("sinks: [{type: webhook, url_file: FILE}]", "https://hooks.example/s3cret", "sinks.0.url"),
    ("sinks: [{type: webhook, url: http://x, secret_file: FILE}]", "s3cret", "sinks.0.secret"),
    ("sinks: [{type: webhook, url: http://x, header_files: {Authorization: FILE}}]", "B s3cret", "sinks.0.headers.A"),
    ("sinks: [{type: pagerduty, routing_key_file: FILE}]", KEY, "sinks.0.routing_key"),
    ("sinks: [{type: alertmanager, urls: [http://x], username: a, password_file: FILE}]", "s3cret", "sinks.0.password"),
    (
        "sinks: [{type: email, host: h, sender: a@b, recipients: [a@b], username: a, password_file: FILE}]",
        "s3cret",
        "sinks.0.password",
    ),
]  # fmt: skip


def load(tmp_path: Path, text: str, content: bytes | None) -> Settings:
    secret, file = tmp_path / "secret", tmp_path / "monitor.yaml"
    if content is not None:
        secret.write_bytes(content)
    file.write_text(text.replace("FILE", str(secret)))
    return load_settings(file, environ={})


def value(settings: Any, path: str) -> str:
    for part in path.split("."):
        if part == "A":
            settings = settings["Authorization"]
        else:
            settings = settings[int(part)] if part.isdigit() else getattr(settings, part)
    return str(settings.get_secret_value()) if hasattr(settings, "get_secret_value") else str(settings)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize(("text", "secret", "path"), PLACES)
def test_a_secret_is_read_without_the_line_break_at_its_end(
    tmp_path: Path, text: str, secret: str, path: str, end: bytes
) -> None:
    settings = load(tmp_path, text, secret.encode() + end)
    assert value(settings, path) == secret
    if "webhook, url_file" not in text:  # a webhook's URL is printed as ever
        assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read: No such file"), (b"\n", "is empty"), (b"\xff", "is not UTF-8 text")],
)
@pytest.mark.parametrize(("text", "_secret", "path"), PLACES)
def test_a_file_that_gives_none_is_named_with_its_key(
    tmp_path: Path, text: str, _secret: str, path: str, content: bytes | None, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text, content)
    (line,) = str(refused.value).splitlines()
    assert says in line
    assert "_file" in line.split(" ")[1]
    assert "monitor.yaml:1 " in line


@pytest.mark.parametrize(("text", "secret", "path"), PLACES)
def test_both_at_once_are_a_mistake(tmp_path: Path, text: str, secret: str, path: str) -> None:
    key = path.split(".")[-1]
    if key == "A":
        both = text.replace("header_files", "headers: {Authorization: x}, header_files")
    else:
        both = text.replace(f"{key}_file", f"{key}: {KEY}, {key}_file")
    with pytest.raises(ConfigError, match=r"_file\S*: is set as well as \w+: give one of the two"):
        load(tmp_path, both, secret.encode())


def test_what_is_wrong_in_a_file_is_said_at_the_files_key_without_its_content(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"monitor.yaml:1 sinks\[0\].routing_key_file: must be the integration"
    ) as refused:
        load(tmp_path, "sinks: [{type: pagerduty, routing_key_file: FILE}]", b"hunter2\n")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("text", ["broker: {sasl: {password: ''}}", "broker: {sasl: {password: '${EMPTY}'}}"])
def test_an_empty_secret_is_a_mistake(tmp_path: Path, text: str) -> None:
    file = tmp_path / "monitor.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"broker.sasl.password: must not be empty"):
        load_settings(file, environ={"EMPTY": ""})
