"""How commands log on stderr: lines for people, or one JSON object a line for a log collector.

May import nothing from this project.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum


class LogFormat(StrEnum):
    """What a log line looks like."""

    TEXT = "text"
    JSON = "json"


class JsonLines(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and exception with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its break."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields, ensure_ascii=False)


LIBRARIES = ("aiokafka", "alembic", "kafka", "faust", "mode", "httpx", "uvicorn")
"""They log each step of what works: below `debug` only their warnings are of use."""


def set_up_logging(level: str, shape: LogFormat = LogFormat.TEXT) -> None:
    """Log on stderr from `level` (debug, info, warning, error) on, the libraries below only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    lines = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if shape is LogFormat.JSON else lines)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":
        for library in LIBRARIES:
            logging.getLogger(library).setLevel(logging.WARNING)
