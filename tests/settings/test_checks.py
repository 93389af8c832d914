"""Settings that are valid and cannot do what they say: each is an error or a warning with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.settings.check_values import covers
from monitor.settings.checks import load_checked
from monitor.settings.paths import config_dir

TWO_SINKS = "sinks: [{type: log, routes: [support]}, {type: log, name: all, routes: ['*']}]\n"


def check(tmp_path: Path, text: str) -> tuple[list[str], list[str]]:
    """Errors and warnings, each without the file's name."""
    path = tmp_path / "monitor.yaml"
    path.write_text(text)
    try:
        return [], [line.removeprefix(f"{path}:") for line in load_checked(path, environ={}).warnings]
    except ConfigError as error:
        return [line.removeprefix(f"{path}:") for line in str(error).splitlines()], []


@pytest.mark.parametrize("name", ["monitor.yaml", "compose/monitor.yaml"])
def test_what_is_shipped_has_neither(name: str) -> None:
    assert load_checked(config_dir() / name, environ={}).warnings == []


def test_the_defaults_have_neither() -> None:
    assert load_checked(None).warnings == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "sinks: [{type: log, routes: [support, default]}]\nstreams:\n  - {match: 'support-*', route: suport}\n",
            "3 streams[0].route: route suport reaches nobody: no sink takes it, did you mean `support`?",
        ),
        (
            "sinks: [{type: log, routes: [support]}]\nstreams:\n  - {match: a, route: support}\n",
            "1 alerting.route: route default reaches nobody: no sink takes it, which take: support",
        ),
        (
            "alerting:\n  route: pagr\nsinks: [{type: log, routes: [pager]}]\n",
            "2 alerting.route: route pagr reaches nobody: no sink takes it, did you mean `pager`?",
        ),
        (
            "features:\n  families: [lenght]\n",
            "2 features.families[0]: no family of features is called lenght, did you ",
        ),
        (
            "features: {embedding: statc}\n",
            "1 features.embedding: the model statc needs sentence-transformers, which is ",
        ),
        ("features: {embedding: /no/such/model}\n", "1 features.embedding: there is no folder /no/such/model"),
        (
            "detection:\n  features: ['output.lenght.*']\n",
            "2 detection.features[0]: no feature is called output.lenght.*, did you mean `output.length.*`?",
        ),
        (
            "streams:\n- match: a\n  detectors:\n  - {detector: adwin, features: call.latency}\n",
            "4 streams[0].detectors[0].features: no feature is called call.latency",
        ),
        (
            "detection: {features: ['output.length.*']}\nstreams: [{match: a, exclude: ['output.*']}]\n",
            "2 streams[0].features: features and exclude together leave nothing to watch",
        ),
        ("broker: {ssl: {ca_file: /no/ca.pem}}\n", "1 broker.ssl.ca_file: /no/ca.pem: no such file"),
        (
            "broker:\n  sasl: {mechanism: OAUTHBEARER, token_provider: 'no_such_module:token'}\n",
            "2 broker.sasl.token_provider: no_such_module cannot be imported",
        ),
        (
            "broker:\n  sasl: {mechanism: OAUTHBEARER, token_provider: 'json:token'}\n",
            "2 broker.sasl.token_provider: json has no function token",
        ),
        (
            "sinks: [{type: email, host: h, sender: a@b, recipients: [a@b], ca_file: /no/ca.pem}]\n",
            "1 sinks[0].ca_file: /no/ca.pem: no such file",
        ),
    ],
)
def test_what_cannot_work_is_an_error(tmp_path: Path, text: str, error: str) -> None:
    errors, _ = check(tmp_path, text)
    assert len(errors) == 1
    assert errors[0].startswith(error)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("sinks: []\n", "1 sinks: is empty: alerts are sent to nobody"),
        ("sinks: [{type: log}, {type: log, name: b, routes: [suport]}]\n", "1 sinks[1].routes: no stream has a route"),
        ("sinks:\n- {type: log, min_severity: critical}\n", "2 sinks[0].min_severity: no sink of route default takes"),
        (
            "detection: {alert_on: []}\nsinks: [{type: log, min_severity: warning}]\n",
            "1 detection.alert_on: nothing that is found there pages, and no sink of route default takes severity info",
        ),
        ("detection: {exclude: ['output.tonne.*']}\n", "1 detection.exclude[0]: no feature is called output.tonne.*,"),
        (
            "features: {families: [length]}\ndetection: {features: ['output.length.*', 'output.tone.*']}\n",
            "2 detection.features[1]: output.tone.* matches features that features.families and features.embedding lea",
        ),
        ("features: {embedding: 'off'}\ndetection: {exclude: ['*.embedding.*']}\n", "2 detection.exclude[0]: *.embed"),
        ("detection: {warmup: 400, mature: 100}\n", "1 detection.mature: mature 100 is below warmup 400"),
        ("worker: {stuck_after: 5s}\n", "1 worker.stuck_after: a batch may take longer than 5 s"),
        ("delivery: {first_retry: 1h}\n", "1 delivery.first_retry: is longer than longest_retry"),
        ("delivery: {first_retry: 1m, give_up_after: 10s}\n", "1 delivery.give_up_after: is shorter than first_retry"),
        ("alerting:\n  group_window: 30\n", "2 alerting.group_window: has no unit and is taken as 30 seconds: write"),
        ("sinks:\n- type: webhook\n  url: http://x\n  timeout: '5'\n", "4 sinks[0].timeout: has no unit and is taken"),
        ("streams:\n- {match: 'a-*', owner: x}\n- {match: 'a*', owner: y}\n", "2 streams[0].match: a-* has no effect"),
        ("streams:\n- {match: 'support-.*', owner: x}\n", "2 streams[0].match: support-.* looks like a regular expre"),
        ("streams:\n- {match: 'support-*'}\n", "2 streams[0].match: support-* sets nothing"),
        (
            "maintenance:\n- {weekly: {start: '01:00', end: '01:00'}}\n",
            "2 maintenance[0].weekly: never ends: the alerts of these streams are never sent",
        ),
        ("links: {runbook: 'wiki/{runbook}'}\n", "1 links.runbook: does not begin with http"),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_a_warning(tmp_path: Path, text: str, warning: str) -> None:
    errors, warnings = check(tmp_path, text)
    assert errors == []
    assert len(warnings) == 1
    assert warnings[0].startswith(warning)


@pytest.mark.parametrize(
    "text",
    [
        TWO_SINKS + "streams: [{match: a, route: support}]\n",
        # A later override gives every stream another route: the default one is never used.
        "sinks: [{type: log, routes: [a]}]\nstreams: [{match: '*', route: a}]\n",
        "sinks: [{type: log, routes: [b]}]\nstreams: [{match: 'x*', route: a}, {match: '*', route: b}]\n",
        "detection: {features: ['output.length.*', 'call.dependency.errors*']}\n",
        "detection: {exclude: ['call.dependency.duration_s?orders?']}\n",
        "worker: {featurize_linger: 0}\n",
        "streams: [{match: 'a*', owner: x}, {match: 'a-*', owner: y}]\n",
        "streams: [{match: 'a*', floors: {flag: 0.1}}, {match: 'a*', floors: {number: 1}}]\n",
        "detection: {mature: 0}\n",
    ],
)
def test_what_works_is_not_complained_about(tmp_path: Path, text: str) -> None:
    errors, warnings = check(tmp_path, text)
    assert (errors, [line for line in warnings if "has no effect" not in line]) == ([], [])


def test_a_file_with_both_gives_all_errors_in_the_order_of_lines(tmp_path: Path) -> None:
    errors, _ = check(
        tmp_path, "features: {families: [tonne]}\nalerting: {route: x}\nsinks: [{type: log, routes: [y]}]\n"
    )
    assert [line.split(" ")[0] for line in errors] == ["1", "2"]


@pytest.mark.parametrize(
    ("wide", "narrow", "surely"),
    [("*", "a-*", True), ("a*", "a-?", True), ("a-*", "a*", False), ("a", "a", True), ("a?", "a*", False)],
)
def test_a_glob_covers_another_only_where_that_is_sure(wide: str, narrow: str, surely: bool) -> None:
    assert covers(wide, narrow) is surely


def test_anchors_that_cannot_be_read_or_are_all_alike_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    criterion = f"{{name: polite, pass: is friendly, evaluator: main, anchors: {file}}}"
    text = f"evaluators: [{{kind: classifier, name: main}}]\nstreams:\n  - match: '*'\n    criteria: [{criterion}]\n"
    errors, _ = check(tmp_path, text)
    assert errors[0].startswith(f"4 streams[0].criteria[0].anchors: {file}: cannot be read: ")
    file.write_text('{"output": "Yes.", "passed": true}\n')
    _, [warning] = check(tmp_path, text)
    assert warning.endswith("holds only anchors that pass; half of them should be failures")
    file.write_text('{"output": "Yes.", "passed": true}\n{"output": "No.", "passed": false}\n')
    assert check(tmp_path, text) == ([], [])
