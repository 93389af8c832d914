"""Writes docs/reference from the code: configuration, command line, features, metrics, sinks.

python -m scripts.build_reference            # a test says so where a page is out of date
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from monitor.cli.app import build_app
from monitor.features.registry import default_extractors
from monitor.sinks.registry import SINKS, SinkType
from monitor.telemetry.metrics import METRICS
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
            "| feature | kind | unit | hurts when | meaning |",
            "|---|---|---|---|---|",
        ]
        for spec in extractor.features:
            fault = (
                "true, as a fault" if spec.failure else {"up": "it rises", "down": "it falls"}.get(spec.worse.value, "")
            )
            lines.append(f"| `{spec.name}` | {spec.kind.value} | {spec.unit} | {fault} | {cell(spec.meaning)} |")
        lines.append("")
    return "\n".join(lines)


def metrics() -> str:
    """Every metric."""
    lines = [f"# Metrics\n\n{_NOTE}", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
    lines += [f"| `{m.name}` | {m.kind.value} | {', '.join(m.labels)} | {cell(m.meaning)} |" for m in METRICS]
    return "\n".join([*lines, ""])


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


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "features.md": features,
    "metrics.md": metrics,
    "sinks.md": sinks,
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
