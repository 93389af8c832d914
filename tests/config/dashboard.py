"""The script that writes the dashboards, as a module, and what it writes, by name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, NamedTuple

_spec = importlib.util.spec_from_file_location(
    "build_dashboards", Path(__file__).resolve().parents[2] / "scripts" / "build_dashboards.py"
)
assert _spec is not None
assert _spec.loader is not None
builder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(builder)

DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(builder.text(d)) for name, d in builder.dashboards().items()}


class PanelQuery(NamedTuple):
    """One query of one panel."""

    dashboard: str
    panel: str
    ref: str
    expr: str

    @property
    def name(self) -> str:
        return f"{self.dashboard}-{self.panel}-{self.ref}"

    def of(self, stream: str) -> str:
        """The query with the variable filled in."""
        return self.expr.replace("$stream", stream)


def queries() -> list[PanelQuery]:
    """Every query of every panel, and of the annotations."""
    found = []
    for name, made in DASHBOARDS.items():
        found += [
            PanelQuery(name, panel["title"], target["refId"], target["expr"])
            for panel in made["panels"]
            for target in panel["targets"]
        ]
        found += [
            PanelQuery(name, annotation["name"], "annotation", annotation["expr"])
            for annotation in made["annotations"].get("list", [])
        ]
    return found
