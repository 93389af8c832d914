"""Writes `config/monitor.yaml`: every setting with its default and its meaning, from the models themselves.

python -m monitor.settings_example > config/monitor.yaml
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from monitor.settings import Settings

HEADER = """\
# Settings of the output quality monitor. Every line shows a default; delete what you leave as it is.
# `oqm check-config FILE` reports every mistake with its line. Written by `python -m monitor.settings_example`.
# Durations: 250ms, 30s, 15m, 12h, 7d, 2w. Any string value may use ${NAME} from the environment, for secrets;
# $${ stands for a literal ${. Every secret may also stand in a file, without a line break at its end: `password_file`
# in place of `password`. SIGHUP makes a worker read this file again; its log says what of a change needs a restart.
"""

EXAMPLES = {
    "streams": """\
# Each entry may set any key of `detection`, and:
#   - match: "support-*"              # glob on the stream's name (required)
#     owner: team-support             # who answers for these streams
#     route: support                  # which sinks get their alerts (sinks[].routes)
#     alert_budget: 1 per 7d
#     floors: {flag: 0.05}
#     exclude: ["output.repetition.*"]
#     criteria:                       # checked on every output (docs/howto/check_outputs.md)
#       - {name: has_total, check: {json_field: order.total, type: number}}
#       - {name: concise, check: {feature: output.length.words, most: 120}}
""",
    "maintenance": """\
#   - match: "batch/*"                # glob on the stream's name; none: every stream
#     start: 2026-11-28T22:00:00Z     # once; with its time zone
#     end: 2026-11-29T02:00:00Z
#     reason: new tokenizer
#   - match: "nightly-*"
#     weekly: {days: [sat, sun], start: "23:00", end: "05:30", timezone: Europe/Vienna}
""",
    "sinks": """\
# Keys of every sink: name (unique), routes (globs), min_severity (info, warning, critical). Slack, PagerDuty and e-mail
# get one message for one cause in many streams (per: incident), a webhook one per alert (per: alert). A route no sink
# takes is an error. Secrets from files: url_file, secret_file, password_file, routing_key_file, header_files. Types:
#   - type: webhook                   # monitor/sinks/webhook/README.md
#     name: chat
#     url: https://hooks.example/oqm
#     secret: ${OQM_WEBHOOK_SECRET}   # signs each post with HMAC-SHA256
#     headers: {Authorization: "Bearer ${OQM_WEBHOOK_TOKEN}"}   # header_files: {Authorization: PATH}: from a file
#     template: '{"text": $short}'    # none: the alert as JSON
#     timeout: 10s
#   - type: alertmanager              # monitor/sinks/alertmanager/README.md
#     urls: ["http://127.0.0.1:9093"]
#     labels: {cluster: eu-1}
#     min_severity: warning
#     keep_alive: 60s                 # a firing alert is sent again so often
#     expires_after: 5m               # and resolves by itself when not repeated for so long
#     timeout: 10s
#   - type: slack                     # monitor/sinks/slack/README.md
#     url: ${OQM_SLACK_WEBHOOK}       # an incoming webhook: one channel; or url_file: /run/secrets/slack_webhook
#     timeout: 10s
#   - type: pagerduty                 # monitor/sinks/pagerduty/README.md
#     routing_key: ${OQM_PAGERDUTY_KEY}
#     min_severity: critical
#     severities: {warning: error}    # what ours are called there
#   - type: email                     # monitor/sinks/email/README.md
#     host: smtp.example.org
#     security: starttls              # tls, or none for a local relay
#     username: oqm
#     password: ${OQM_SMTP_PASSWORD}
#     sender: oqm@example.org
#     recipients: [oncall@example.org]
""",
}
"""What a list may hold, shown as comments because its default is empty or short."""

_COLUMN = 42
_WIDTH = 120


def example() -> str:
    """The text of `config/monitor.yaml`."""
    return HEADER + "".join(_section(Settings(), ""))


def _section(model: BaseModel, indent: str) -> Iterator[str]:
    values = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        meaning = field.description or (type(value).__doc__ or "").strip().splitlines()[0] if _is_part(value) else ""
        meaning = meaning or field.description or ""
        if not indent:
            yield "\n"
        if _is_part(value):
            yield _line(f"{indent}{name}:", meaning)
            yield from _section(value, indent + "  ")
        elif name in EXAMPLES and not indent:
            yield from (f"# {line}\n" for line in textwrap.wrap(meaning[0].upper() + meaning[1:] + ".", _WIDTH - 2))
            yield EXAMPLES[name]
            yield _items(name, values[name])
        else:
            yield _line(f"{indent}{name}: {_scalar(values[name])}", meaning)


def _is_part(value: object) -> bool:
    return isinstance(value, BaseModel)


def _items(name: str, value: list[dict[str, Any]]) -> str:
    if not value:
        return f"{name}: []\n"
    return f"{name}:\n" + "".join(f"  - {_scalar(item)}\n" for item in value)


def _scalar(value: object) -> str:
    """`value` on one line; a string only in quotes where YAML would read it as something else."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").strip()


def _line(text: str, meaning: str) -> str:
    if not meaning:
        return text + "\n"
    comment = f"{text:<{_COLUMN - 2}}  # {meaning}"
    if len(comment) <= _WIDTH:
        return comment + "\n"
    indent = text[: len(text) - len(text.lstrip())]
    return "".join(f"{indent}# {line}\n" for line in textwrap.wrap(meaning, _WIDTH - len(indent) - 2)) + text + "\n"


if __name__ == "__main__":
    sys.stdout.write(example())
