"""Every sink of the table, made from its own example: what the tests that every sink must pass are parametrized by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from monitor.settings import Settings
from monitor.sinks.base import Resources, Sink
from monitor.sinks.config import HttpSinkConfig, SinkConfig
from monitor.sinks.registry import SINKS, SinkType

SECRET = "s3cr3t".ljust(32, "x")
"""Stands for every `${NAME}` of an example; as long as a routing key of PagerDuty."""


def http_sinks(kinds: Sequence[SinkType] = SINKS) -> list[SinkType]:
    """The sinks that post to a URL."""
    return [kind for kind in kinds if issubclass(kind.config, HttpSinkConfig)]


def example_of(kind: SinkType, **changes: object) -> SinkConfig:
    """The configuration that the sink's example shows, with `changes`."""
    data = yaml.safe_load(re.sub(r"\$\{[A-Z_]+\}", SECRET, kind.config.EXAMPLE))
    if data.get("url") == SECRET:  # the whole address is a secret
        data["url"] = f"https://receiver.example/{SECRET}"
    return Settings.model_validate({"sinks": [{**data, "type": kind.name, "min_severity": "info", **changes}]}).sinks[0]


def at(kind: SinkType, url: str) -> Sink:
    """The sink of the example, posting to `url` with a secret in its path and a short time-out."""
    address = f"{url}/{SECRET}?k={SECRET}"
    fields: Mapping[str, Any] = kind.config.model_fields
    assert {"url", "urls"} & set(fields), f"sink {kind.name}: the setting of its address must be `url` or `urls`"
    where = {"url": address} if "url" in fields else {"urls": [f"{url}/{SECRET}"]}
    return kind.sink(example_of(kind, **where, timeout=0.3), Resources(clock=lambda: 0.0))
