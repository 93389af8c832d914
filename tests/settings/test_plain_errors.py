"""Every mistake that the settings can hold is said in our words, at its line; pydantic's stand nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from monitor.config_values.plain_errors import FALLBACK_SENTENCE, SENTENCES, alternatives, sentence
from monitor.detection.settings import DetectorChoice, Objective
from monitor.errors import ConfigError
from monitor.settings import Settings, StreamOverride
from monitor.settings.yaml_loader import parse

WRONG: Mapping[str, Any] = {
    "nothing": None,
    "text": "x" * 300,
    "empty": "",
    "yes": True,
    "minus": -1,
    "zero": 0,
    "part": 1.5,
    "huge": 10**30,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "list": [],
    "list of lists": [[]],
    "long list": ["a@b"] * 60,
    "mapping": {},
    "mapping of numbers": {1: 2},
    "mapping of lists": {"a b": []},
    "date": yaml.safe_load("2026-01-02"),
    "moment without zone": yaml.safe_load("2026-01-02 03:04:05"),
    "time": "25:61",
    "address": "ftp://x",
    "number as text": "12,5",
    "digits": "9" * 5000,
}
"""A value of each kind that YAML has, and of each way in which one of the right kind can be wrong."""
LIBRARY = re.compile(
    r"Input should|Value error|valid (tuple|string|dictionary|integer|number|boolean)|unable to|validation|permitted"
    r"|should (have|match|be)|pattern|pydantic|NoneType|Traceback|instance of|expected|<class",
)
# What a section must have besides the field that is wrong.
SINKS: Mapping[str, Mapping[str, Any]] = {
    "log": {},
    "webhook": {"url": "http://x"},
    "alertmanager": {"urls": ["http://x"]},
    "slack": {"url": "http://x"},
    "pagerduty": {"routing_key": "k" * 32},
    "email": {"host": "h", "sender": "a@b", "recipients": ["a@b"]},
}


def sections() -> Iterator[tuple[type[BaseModel], Any]]:
    """Every section of the file with a function that wraps a faulty one into a whole document."""

    def under(model: type[BaseModel], wrap: Any) -> Iterator[tuple[type[BaseModel], Any]]:
        yield model, wrap
        for name, field in model.model_fields.items():
            for kind in alternatives(field.annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    yield from under(kind, lambda inner, name=name, wrap=wrap: wrap({name: inner}))

    yield from under(Settings, lambda section: section)
    yield from under(StreamOverride, lambda section: {"streams": [{"match": "a", **section}]})
    (union,) = [a for a in get_args(Settings.model_fields["maintenance"].annotation) if a is not ...]
    yield from under(union, lambda section: {"maintenance": [section]})
    yield DetectorChoice, lambda section: {"detection": {"detectors": [{"detector": "adwin", **section}]}}
    yield (
        Objective,
        lambda section: {"detection": {"slo": [{"name": "a", "errors": True, "objective": 0.9, **section}]}},
    )
    sink_types = [a for a in get_args(Settings.model_fields["sinks"].annotation) if a is not ...]
    for kind in (member for found in sink_types for member in alternatives(found)):
        (name,) = get_args(kind.model_fields["type"].annotation)
        yield kind, lambda section, name=name: {"sinks": [{"type": name, **SINKS[name], **section}]}


def documents() -> Iterator[tuple[str, Any]]:
    for model, wrap in sections():
        for what, value in WRONG.items():
            yield (
                f"{model.__name__}: {what}",
                wrap(value) if model is not Settings and isinstance(value, dict) else None,
            )
            for name in model.model_fields:
                yield f"{model.__name__}.{name}: {what}", wrap({name: value})
        yield f"{model.__name__}: unknown", wrap({"nonsense": 1})


DOCUMENTS = [(what, document) for what, document in documents() if document is not None]


def said(document: Any) -> list[str]:
    text = yaml.safe_dump(document)
    try:
        parse(Settings, text, name="monitor.yaml", environ={})
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_no_message_has_a_word_of_the_library_and_each_has_its_line() -> None:
    checked = 0
    for what, document in DOCUMENTS:
        for line in said(document):
            checked += 1
            assert re.match(r"monitor\.yaml:\d+ \S", line) or "not valid YAML" in line, (what, line[:300])
            text = line.partition(": ")[2]
            assert not LIBRARY.search(text), (what, line[:300])
            assert FALLBACK_SENTENCE not in text, (what, line[:300])
    assert checked > 1_000


def test_every_type_of_error_that_the_settings_give_has_a_sentence() -> None:
    kinds = set()
    for _, document in DOCUMENTS:
        try:
            Settings.model_validate(document)
        except ValidationError as error:
            kinds |= {details["type"] for details in error.errors(include_url=False, include_input=False)}
    ours = {"value_error", "extra_forbidden", "literal_error", "enum", "union_tag_invalid"}
    assert kinds - ours - set(SENTENCES) == set()
    assert len(kinds) >= 20


def test_an_error_that_nobody_foresaw_is_still_said_in_our_words() -> None:
    details: Any = {"type": "brand_new", "loc": ("a",), "msg": "Input should be new", "input": 1, "ctx": {}}
    assert sentence(Settings, details) == FALLBACK_SENTENCE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("streams: {}", "streams: must be a list, such as [a, b]"),
        ("features: {families: []}", "features.families: must hold at least 1"),
        ("topics: {state: {name: 'a b'}}", "topics.state.name: must be a topic's name: 1 to 249 letters"),
        ("topics: {state: {name: '..'}}", "topics.state.name: must be a topic's name"),
        ("sinks: [{type: log, name: Ärger}]", "sinks[0].name: must be 1 to 64 of a-z"),
        ("worker: {checkpoint_interval: 2h}", "worker.checkpoint_interval: must be <= 1h"),
        ("worker: {detect_batch: yes}", "worker.detect_batch: must be a number"),
        ("metrics: {host: }", "metrics.host: must not be empty: delete the line for the default"),
        ("detection: {alert_on: [nonsense]}", "detection.alert_on[0]: must be 'output', 'call'"),
        ("maintenance: [{start: 2026-01-02, end: tomorrow}]", "maintenance[0].start: must be a moment with its time"),
        ("broker: {bootstrap: 'http://localhost:9092'}", "broker.bootstrap: bootstrap must be host:port"),
        ("broker: {bootstrap: ''}", "broker.bootstrap: must not be empty"),
        ("broker:\n  security: SASL_SSL\n  sasl: {mechanism: OAUTHBEARER}", "broker.sasl.mechanism: mechanism OAUTHB"),
        ("broker: {sasl: {token_provider: 'a:b'}}", "broker.sasl.token_provider: is of mechanism OAUTHBEARER"),
        ("broker: {sasl: {mechanism: OAUTHBEARER, token_provider: tokens}}", "broker.sasl.token_provider: must be pa"),
    ],
)  # fmt: skip
def test_what_must_stand_there_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(Settings, text, name="monitor.yaml", environ={})
    assert re.sub(r"monitor\.yaml:\d+ ", "", str(refused.value)).startswith(message)
