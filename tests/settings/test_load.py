from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ=environ)
    return [line.removeprefix(str(tmp_path) + "/") for line in str(caught.value).splitlines()]


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ=environ)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "worker:\nmetrics:\n  # port: 1\n", "{}"])
def test_an_empty_file_gives_the_defaults(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).model_dump() == Settings().model_dump() == load_settings().model_dump()


def test_each_mistake_has_its_line_and_key_and_all_come_at_once(tmp_path: Path) -> None:
    text = """\
broker:
  bootstrap: nowhere
streams:
  - match: "support-*"
    alert_budget: 0 per 30d
    warmup: ten
  - owner: us
    floors: {flag: 3}
metrics:
  port: 99999
features: {embedding: "off"}
topics: {outputs: {partitions: 0}}
links: {dashboard: "http://x/{strem}"}
"""
    assert mistakes(tmp_path, text) == [
        "monitor.yaml:2 broker.bootstrap: bootstrap must be host:port, or several with commas between",
        "monitor.yaml:5 streams[0].alert_budget: must be > 0",
        "monitor.yaml:6 streams[0].warmup: must be a whole number",
        "monitor.yaml:7 streams[1].match: is required",
        "monitor.yaml:8 streams[1].floors.flag: must be <= 1.0",
        "monitor.yaml:10 metrics.port: must be <= 65535",
        "monitor.yaml:12 topics.outputs.partitions: must be >= 1",
        "monitor.yaml:13 links.dashboard: unknown placeholder {strem}, known are stream, kind, id, from_ms, to_ms, "
        "event_id, runbook, owner",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("brokr: {}\n", "monitor.yaml:1 brokr: unknown key, did you mean `broker`?"),
        ("worker:\n  detect_btch: 3\n", "monitor.yaml:2 worker.detect_btch: unknown key, did you mean `detect_batch`?"),
        ("streams:\n- match: x\n  flors: {}\n", "monitor.yaml:3 streams[0].flors: unknown key, did you mean `floors`?"),
        (
            "streams:\n- match: x\n  floors:\n    flagg: 1\n",
            "monitor.yaml:4 streams[0].floors.flagg: unknown key, did you mean `flag`?",
        ),
        (
            "sinks:\n- type: webhook\n  url: http://x\n  secrt: k\n",
            "monitor.yaml:4 sinks[0].secrt: unknown key, did you mean `secret`?",
        ),
        (
            "worker: {dead_letters: {zzz: 1}}\n",
            "monitor.yaml:1 worker.dead_letters.zzz: unknown key, known here: max_share, window",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_known(tmp_path: Path, text: str, message: str) -> None:
    assert mistakes(tmp_path, text) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sinks:\n- {type: webhok}\n", "monitor.yaml:2 sinks[0]: type must be one of 'log', 'webhook', 'alertmanager'"),
        ("sinks:\n- {url: x}\n", "monitor.yaml:2 sinks[0]: must say its 'type'"),
        ("sinks:\n- {type: webhook}\n", "monitor.yaml:2 sinks[0].url: is required"),
        ("sinks:\n- {type: webhook, url: http://x, secret: ''}\n", "monitor.yaml:2 sinks[0].secret: must not be empty"),
        (
            "sinks:\n- {type: log}\n- {type: log}\n",
            "monitor.yaml:3 sinks[1]: two sinks have the same name: log; give one of them another `name`",
        ),
        (
            "sinks:\n- type: alertmanager\n  urls: [http://x]\n  keep_alive: 4m\n",
            "monitor.yaml:2 sinks[0]: expires_after must be at least twice keep_alive",
        ),
        (
            "topics:\n  state: {name: oqm.alerts}\n",
            "monitor.yaml:2 topics.state.name: two topics have the same name: oqm.alerts",
        ),
        ("broker:\n  security: SASL_SSL\n", "monitor.yaml:2 broker.security: security SASL_SSL needs sasl.username"),
        ("alerting: {group_window: soon}\n", "monitor.yaml:1 alerting.group_window: must be a duration such as 30s"),
    ],
)
def test_parts_that_do_not_fit_together_are_named(tmp_path: Path, text: str, message: str) -> None:
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", "monitor.yaml:2: not valid YAML"),
        ("worker: {}\nworker: {}\n", "monitor.yaml:2 worker: already set in line 1"),
        ("- 1\n", "monitor.yaml:1: must be a mapping of settings"),
        ("just words\n", "monitor.yaml:1: must be a mapping of settings"),
        ("worker: 3\n", "monitor.yaml:1 worker: must be a mapping of settings"),
        ("streams: {}\n", "monitor.yaml:1 streams: must be a list"),
        ("worker: &w {x: *w}\n", "monitor.yaml:1"),
        ("worker: !!python/object:os.system {}\n", "monitor.yaml:1"),
        ("a: \x07\n", "monitor.yaml: not valid YAML"),
        ("? [1, 2]\n: 3\n", "monitor.yaml:1"),
    ],
)
def test_what_is_no_settings_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert mistakes(tmp_path, text)[0].startswith(message)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_settings(tmp_path / "latin.yaml")


def test_environment_variables_fill_string_values(tmp_path: Path) -> None:
    text = """\
broker:
  bootstrap: ${KAFKA}
  security: SASL_SSL
  sasl: {username: "u-${WHO}", password: "${PASSWORD}"}
metrics: {port: "${PORT}"}
links: {dashboard: "http://x/$${stream}"}
"""
    with pytest.raises(ConfigError, match="unknown placeholder"):
        load(tmp_path, "links: {dashboard: 'http://x/{nope}'}")
    settings = load(
        tmp_path, text.replace("$${stream}", "{stream}"), KAFKA="k:1", WHO="me", PASSWORD="p${WHO}", PORT="1234"
    )
    assert settings.broker.bootstrap == "k:1"
    assert settings.broker.sasl.username == "u-me"
    assert settings.broker.sasl.password is not None
    assert settings.broker.sasl.password.get_secret_value() == "p${WHO}"  # what comes in is not expanded again
    assert settings.metrics.port == 1234


def test_an_escaped_reference_stays(tmp_path: Path) -> None:
    assert load(tmp_path, "alerting: {owner: 'a$${B}'}").alerting.owner == "a${B}"


def test_a_variable_that_is_not_set_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "alerting:\n  owner: ${NOPE}-${ALSO}\nworkr: {}\n", HAVE="x") == [
        "monitor.yaml:2 alerting.owner: the environment variable NOPE is not set",
        "monitor.yaml:2 alerting.owner: the environment variable ALSO is not set",
        "monitor.yaml:3 workr: unknown key, did you mean `worker`?",
    ]


def test_secrets_stand_neither_in_messages_nor_in_the_settings_text(tmp_path: Path) -> None:
    text = "broker: {sasl: {password: '${P}', mechanism: '${P}'}, bootstrap: '${P}'}\n"
    assert "hunter2" not in "\n".join(mistakes(tmp_path, text, P="hunter2"))
    settings = load(tmp_path, "broker: {sasl: {password: '${P}'}}", P="hunter2")
    assert "hunter2" not in repr(settings) + settings.model_dump_json()


def test_settings_do_not_change_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().broker.bootstrap = "x:1"  # type: ignore[misc]


WHERE = "monitor.yaml:3 detection.attributes[0]"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{name: stars, kind: nubmer}", f"{WHERE}.kind: must be 'number', 'flag', 'category' or 'ignore'"),
        ("{name: stars}", f"{WHERE}.kind: is required"),
        ("{name: stars, kind: number, worse: lower}", f"{WHERE}.worse: must be 'up' or 'down'"),
        (
            "{name: mood, kind: category, worse: up}",
            f"{WHERE}: worse: has a meaning for a number or a flag only, not for category",
        ),
        ("{name: stars, kind: number, unit: s}", f"{WHERE}.unit: unknown key, known here: kind, name, worse"),
    ],
)
def test_an_attribute_declared_wrongly_is_named_with_its_line(tmp_path: Path, entry: str, says: str) -> None:
    assert mistakes(tmp_path, f"detection:\n  attributes:\n    - {entry}\n") == [says]


def test_an_attribute_is_declared_once_and_for_the_streams_that_match(tmp_path: Path) -> None:
    twice = "detection:\n  attributes: [{name: a, kind: flag}, {name: a, kind: number}]\n"
    assert mistakes(tmp_path, twice) == ["monitor.yaml:1 detection: attributes: a is declared more than once"]
    settings = load(tmp_path, "streams:\n  - match: shop/*\n    attributes: [{name: a, kind: flag}]\n")
    assert list(settings.for_stream("shop/x").detection.declared_attributes) == ["a"]
    assert not settings.for_stream("bot/x").detection.declared_attributes
