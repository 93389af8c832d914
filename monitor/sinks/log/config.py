"""Configuration of the log sink."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from monitor.sinks.config import SinkConfig, SinkName


class LogSinkConfig(SinkConfig):
    """Writes each transition as a readable block (or one JSON line) to standard output."""

    type: Literal["log"]
    name: SinkName = Field("log", description="unique; stands in metrics and in the outbox, so keep it")
    format: Literal["text", "json"] = Field("text", description="text: a block for people; json: one line for machines")
