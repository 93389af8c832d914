"""Settings that are well formed and cannot do what they say: routes that reach nobody, globs that match nothing.

`load_settings` refuses what is no valid setting. What is checked here needs more than one value: the sinks, the names
of features, files and packages of this machine. `oqm check-config` and the start of a worker call it; commands that
only read do not, so that they work on a machine that lacks the worker's files.
May import `monitor.settings` and below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from monitor.config_values.plain_errors import dotted
from monitor.errors import ConfigError
from monitor.settings import Settings, load_settings, read_settings_text
from monitor.settings.check_evaluators import evaluator_problems
from monitor.settings.check_features import feature_problems
from monitor.settings.check_gate import gate_problems
from monitor.settings.check_routes import route_problems
from monitor.settings.check_thresholds import threshold_problems
from monitor.settings.check_values import file_problems, link_problems, pattern_problems, value_problems
from monitor.settings.problem import Problem
from monitor.settings.yaml_loader import durations_without_unit, lines_of


class Checked(NamedTuple):
    """Settings that a worker may start with, and the lines of what is doubtful about them."""

    settings: Settings
    warnings: list[str]


def load_checked(path: str | Path | None, *, environ: Mapping[str, str] | None = None) -> Checked:
    """As `load_settings`, with all checks. Raises `ConfigError` with one line per error, in order of lines."""
    settings = load_settings(path, environ=environ)
    if path is None:
        found, line = problems(settings), None
    else:
        text = read_settings_text(path)
        line = lines_of(text)
        found = [*problems(settings), *_without_unit(text)]
        found.sort(key=lambda problem: line(problem.at))

    def shown(problem: Problem) -> str:
        place = f"{path}:{line(problem.at)} " if line is not None else ""
        return f"{place}{dotted(problem.at)}: {problem.what}"

    errors = [shown(problem) for problem in found if problem.error]
    if errors:
        raise ConfigError("\n".join(errors))
    return Checked(settings, [shown(problem) for problem in found])


def problems(settings: Settings) -> list[Problem]:
    """Everything that cannot work as it is written, errors and warnings."""
    return [
        *route_problems(settings),
        *feature_problems(settings),
        *threshold_problems(settings),
        *value_problems(settings),
        *pattern_problems(settings),
        *file_problems(settings),
        *link_problems(settings),
        *evaluator_problems(settings),
        *gate_problems(settings),
    ]


def _without_unit(text: str) -> Iterator[Problem]:
    for at, number in durations_without_unit(Settings, text):
        yield Problem(at, f"has no unit and is taken as {number} seconds: write {number}s, or {number}m", error=False)
