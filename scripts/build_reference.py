"""Writes docs/reference from the code: settings, command line, records, features, findings, metrics, sinks, checks.

python -m scripts.build_reference            # a test says so where a page is out of date
"""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from monitor.cli.app import build_app
from monitor.criteria.registry import CHECKS
from monitor.detection.records.finding_kinds import KINDS, SeverityRule, Trigger
from monitor.evaluators.registry import EVALUATORS, kind_of
from monitor.features.registry import default_extractors
from monitor.sinks.registry import SINKS, SinkType
from monitor.telemetry.metrics import METRICS, SERVE_METRICS
from scripts import reference_folders, reference_http, reference_records
from scripts.settings_example import example

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
_NOTE = "<!-- Written by `python -m scripts.build_reference`; do not edit. -->\n"


def configuration() -> str:
    """Every setting with its default and meaning."""
    text = "Every setting has a default, and an empty file works. `oqm check-config FILE` reports each mistake by line."
    return f"# Configuration\n\n{_NOTE}\n{text}\n\n```yaml\n{example()}```\n"


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


def command_line() -> str:
    """Every command with its arguments and options."""
    parts = [f"# Command line\n\n{_NOTE}"]
    group: Any = typer.main.get_command(build_app())
    parts.extend(_command(f"oqm {name}", group.commands[name]) for name in sorted(group.commands))
    return "\n".join(parts)


def _command(name: str, command: Any) -> str:
    help_text = (command.help or "").strip()
    lines = [f"## {name}\n", help_text, ""]
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        flags = ", ".join(f"`{flag}`" for flag in parameter.opts) if parameter.param_type_name == "option" else ""
        metavar = parameter.metavar or (parameter.name or "").upper()
        shown = f"{flags} {metavar if not getattr(parameter, 'is_flag', False) else ''}".strip() or f"`{metavar}`"
        rows.append(f"| {cell(shown)} | {cell(getattr(parameter, 'help', None) or '')} |")
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    for sub, inner in sorted(getattr(command, "commands", {}).items()):
        lines.append(_command(f"{name} {sub}", inner))
    return "\n".join(lines)


def features() -> str:
    """Every feature by family."""
    lines = [f"# Features\n\n{_NOTE}"]
    for extractor in default_extractors():
        lines += [
            f"## {extractor.family}\n",
            "| feature | kind | role | unit | hurts when | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for spec in extractor.features:
            fault = (
                "true, as a fault" if spec.failure else {"up": "it rises", "down": "it falls"}.get(spec.worse.value, "")
            )
            said = [f"`{spec.name}`", spec.kind.value, spec.role.value, spec.unit, fault, cell(spec.meaning)]
            lines.append(f"| {' | '.join(said)} |")
        lines.append("")
    return "\n".join(lines)


_TRIGGERS = {
    Trigger.CALL: "the call around the model moved, and with it what has a role of {roles}",
    Trigger.LEADS: "outputs changed, and what leads the finding has the role {roles}",
    Trigger.OTHERWISE: "outputs changed, and no kind above fits",
    Trigger.ELSEWHERE: "see the meaning",
}
_SEVERITIES = {
    SeverityRule.CHANGES: "critical where a failure rose or something moved by eight floors in the direction that "
    "hurts, else warning; of an objective: critical where its rule pages",
    SeverityRule.WARNING: "warning",
    SeverityRule.INFO: "info: it never fires",
}


def findings() -> str:
    """Every kind of finding."""
    lines = [
        f"# Kinds of findings\n\n{_NOTE}",
        "Where a change fits several kinds, the first one counts. Roles are those of the [features](features.md).\n",
    ]
    for kind, info in KINDS.items():
        roles = ", ".join(role.value for role in info.roles)
        runbooks = [f"`{kind.value}.md`", *(f"`{each.name}.md` where that says more" for each in info.narrower)]
        rows = {
            "made by": _TRIGGERS[info.trigger].format(roles=roles),
            "names first": ", ".join(role.value for role in info.leads),
            "severity": _SEVERITIES[info.severity],
            "one incident with": ", ".join(
                f"`{other.value}`"
                for other, said in KINDS.items()
                if other is not kind and info.groups_as and said.groups_as == info.groups_as
            ),
            "explains": ", ".join(f"`{other.value}`" for other in info.explains)
            + (" (unless critical)" if info.explains_unless_critical else ""),
            "runbook": ", ".join(runbooks),
        }
        lines += [f"## {info.headline} (`{kind.value}`)\n", f"{info.meaning}\n", "| | |", "|---|---|"]
        lines += [f"| {name} | {cell(text)} |" for name, text in rows.items() if text]
        lines += ["", "What to do first:\n", *(f"1. {step}" for step in info.next_steps), ""]
    return "\n".join(lines)


def metrics() -> str:
    """Every metric."""
    lines = [f"# Metrics\n\n{_NOTE}"]
    for title, some in (("Of a worker", METRICS), ("Of `oqm serve`", SERVE_METRICS)):
        lines += [f"## {title}\n", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
        lines += [f"| `{m.name}` | {m.kind.value} | {', '.join(m.labels)} | {cell(m.meaning)} |" for m in some]
        lines.append("")
    return "\n".join(lines)


def sinks(kinds: Sequence[SinkType] = SINKS) -> str:
    """Every sink with its settings and an example."""
    lines = [f"# Sinks\n\n{_NOTE}", "Where alerts go: entries of `sinks` in `monitor.yaml`.\n"]
    for kind in kinds:
        about = (kind.config.__doc__ or "").strip()
        lines += [f"## {kind.name}\n", f"{about} Details: `monitor/sinks/{kind.name}/README.md`.\n"]
        lines += ["```yaml", "sinks:", f"  - type: {kind.name}"]
        lines += [textwrap.indent(kind.config.EXAMPLE, "    ") + "```\n"]
        lines += ["| setting | default | meaning |", "|---|---|---|"]
        defaults = kind.config.model_construct().model_dump(mode="json")
        for name, field in kind.config.model_fields.items():
            if name != "type":
                default = "required" if field.is_required() else f"`{json.dumps(defaults[name])}`"
                lines.append(f"| `{name}` | {default} | {cell(field.description or '')} |")
        lines.append("")
    return "\n".join(lines)


def checks() -> str:
    """Every check of a criterion, with an example and its settings."""
    lines = [f"# Checks\n\n{_NOTE}"]
    lines += ["What `check` of a criterion may be ([check every output](../howto/check_outputs.md)).\n"]
    for kind in CHECKS:
        lines += [
            f"## {kind.key}\n",
            f"{inspect.cleandoc(kind.__doc__ or '')}\n",
            f"```yaml\ncheck: {kind.example}\n```\n",
        ]
        lines += ["| setting | default | meaning |", "|---|---|---|"]
        for name, field in kind.model_fields.items():
            default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
            lines.append(f"| `{name}` | {default} | {cell(field.description or '')} |")
        lines.append("")
    return "\n".join(lines)


def evaluators() -> str:
    """Every kind of evaluator with an example and its settings."""
    lines = [f"# Evaluators\n\n{_NOTE}"]
    lines += [
        "What judges a sample of the outputs ([judge outputs](../howto/judge_outputs.md)): entries of `evaluators`.\n"
    ]
    for config in EVALUATORS:
        lines += [f"## {kind_of(config)}\n", f"{inspect.cleandoc(config.__doc__ or '')}\n"]
        lines += ["```yaml", "evaluators:", f"  - kind: {kind_of(config)}"]
        lines += [textwrap.indent(config.EXAMPLE, "    ") + "```\n"]
        lines += ["| setting | default | meaning |", "|---|---|---|", *_setting_rows(config, ""), ""]
    return "\n".join(lines)


def _setting_rows(model: type[BaseModel], before: str) -> Iterator[str]:
    """A row for each setting; those of its parts by their path."""
    defaults = model.model_construct().model_dump(mode="json")
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _setting_rows(field.annotation, f"{before}{name}.")
            continue
        default = "required" if field.is_required() else f"`{json.dumps(defaults[name])}`"
        yield f"| `{before}{name}` | {default} | {cell(field.description or '')} |"


def events() -> str:
    """What applications publish."""
    return f"# Events\n\n{_NOTE}\n{reference_records.events()}"


def alerts() -> str:
    """What receivers of alerts get."""
    return f"# Alerts\n\n{_NOTE}\n{reference_records.alerts()}\n"


def http() -> str:
    """The HTTP API."""
    about = (
        "What `oqm serve` answers ([how to run it](../operations/serve.md)). The same as an OpenAPI 3.1 document: "
        "`GET /openapi.json`."
    )
    return f"# HTTP API\n\n{_NOTE}\n{about}\n\n{reference_http.http()}\n"


def folders() -> str:
    """Which folder holds what."""
    below = "Imports point down only: [architecture](../architecture.md#layers)."
    return f"# Map of the folders\n\n{_NOTE}\n{below}\n\n{reference_folders.folders()}\n"


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "features.md": features,
    "findings.md": findings,
    "metrics.md": metrics,
    "sinks.md": sinks,
    "checks.md": checks,
    "evaluators.md": evaluators,
    "events.md": events,
    "alerts.md": alerts,
    "http.md": http,
    "folders.md": folders,
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
