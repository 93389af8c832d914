"""`oqm check-config`: read a configuration file as the worker would, and say what is wrong, or what holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.output import notes, tables


def command(
    file: Annotated[
        Path | None, typer.Argument(help="Configuration file; by default the one that ships with the package.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Also show the settings of the stream of this name.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 if there are warnings.")] = False,
) -> None:
    """Check a configuration file as a worker does at its start.

    Each mistake is one line with file, line and key, and the exit code is 2. Valid settings that are probably a mistake
    give warnings.
    """
    from monitor.cli.detector_notes import detector_notes
    from monitor.cli.threshold_notes import threshold_notes
    from monitor.settings.checks import load_checked
    from monitor.settings.paths import config_dir

    path = file if file is not None else config_dir() / "monitor.yaml"
    settings, warnings = load_checked(path)
    console = tables()
    sinks = ", ".join(f"{sink.name} ({sink.type})" for sink in settings.sinks) or "none"
    said = detector_notes(settings)
    warnings = [*warnings, *(note.text for note in said if note.warns)]
    for warning in warnings:
        notes().print(f"warning: {warning}", markup=False, soft_wrap=True)
    verdict = "ok" if not warnings else f"can be used, {len(warnings)} warning{'s' * (len(warnings) > 1)}"
    overrides = f"{len(settings.streams)} stream override{'s' * (len(settings.streams) != 1)}"
    console.print(f"{path}: {verdict}, {overrides}, sinks: {sinks}", markup=False, soft_wrap=True)
    for note in said:
        if not note.warns:
            console.print(note.text, soft_wrap=True, markup=False)
    for line in threshold_notes(settings):
        console.print(line, soft_wrap=True, markup=False)
    if stream is not None:
        holds = settings.for_stream(stream)
        console.print(f"{stream}: owner {holds.owner or '-'}, route {holds.route}")
        for key, value in holds.detection.model_dump(mode="json").items():
            console.print(f"  {key}: {value}", markup=False, soft_wrap=True)
    if strict and warnings:
        raise typer.Exit(1)
