"""The script that writes the dashboard, as a module."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "build_dashboard", Path(__file__).resolve().parents[2] / "scripts" / "build_dashboard.py"
)
assert _spec is not None
assert _spec.loader is not None
builder = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(builder)
