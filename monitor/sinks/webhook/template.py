"""Templates of webhook bodies: JSON in which `$name` stands for a value of the alert, encoded as JSON.

    {"text": $short, "stream": $stream, "tags": ["oqm", $labels.severity]}

`$name` is a field of the alert, with dots into it, or `$text`, `$short`, `$markdown` for the rendered alert. The value
brings its own quotes and escapes, so that no text of a model can break out of its place; `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.rendering import plain_text
from monitor.alerting.rendering.markdown import markdown

_REFERENCE = re.compile(r"\$(?:(\$)|([a-z_][a-z0-9_]*(?:\.[A-Za-z0-9_]+)*))?")


def values(alert: Alert) -> dict[str, Any]:
    """What a template may name at its top: the alert's fields and its renderings."""
    fields: dict[str, Any] = msgspec.to_builtins(alert)
    return {**fields, "text": plain_text.block(alert), "short": plain_text.short(alert), "markdown": markdown(alert)}


def render(template: str, alert: Alert) -> bytes:
    """The body for `alert`. A label or segment that this alert lacks becomes null."""
    known = values(alert)

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        found: Any = known
        for part in match[2].split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return msgspec.json.encode(found).decode()

    return _REFERENCE.sub(value, template).encode()


def check_template(template: str) -> None:
    """Raises `ValueError` where the template names what no alert has, or does not give valid JSON."""
    from monitor.alerting.rendering.samples import sample_alert  # loads the features, which other settings do not need

    sample = sample_alert()
    known = values(sample)
    for match in _REFERENCE.finditer(template):
        if match[0] == "$":
            raise ValueError("a single $ stands before no name; write $$ for a dollar sign")
        if match[2] and match[2].split(".")[0] not in known:
            raise ValueError(f"unknown name ${match[2]}, known are {', '.join('$' + name for name in sorted(known))}")
    try:
        msgspec.json.decode(render(template, sample))
    except msgspec.DecodeError as error:
        raise ValueError(f"does not give valid JSON ({error}); $name brings its own quotes") from None
