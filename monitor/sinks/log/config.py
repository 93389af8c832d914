"""Configuration of the log sink."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from monitor.sinks.config import SinkConfig, SinkName


class LogSinkConfig(SinkConfig):
    """Writes each transition as a readable block (or one JSON line) to standard output."""

    EXAMPLE: ClassVar[str] = """\
format: json                    # text: a block for people
"""

    type: Literal["log"]
    name: SinkName = Field("log", description="unique; used in metrics and in the outbox: do not rename it")
    format: Literal["text", "json"] = Field("text", description="text: a block for people; json: one line for machines")
