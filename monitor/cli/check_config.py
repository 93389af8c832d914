"""`oqm check-config`: read a configuration file as the worker would, and say what is wrong, or what holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.output import notes, tables


def command(
    file: Annotated[
        Path | None, typer.Argument(help="Configuration file; the one that ships with the package if left out.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Also show what holds for the stream of this name.", show_default=False)
    ] = None,
) -> None:
    """Check a configuration file. Each mistake is one line with file, line and key, and the exit code is 2."""
    from monitor.cli.detector_notes import detector_notes
    from monitor.config_files import config_dir
    from monitor.settings import load_settings

    path = file if file is not None else config_dir() / "monitor.yaml"
    settings = load_settings(path)
    console = tables()
    sinks = ", ".join(f"{sink.name} ({sink.type})" for sink in settings.sinks) or "none"
    console.print(f"{path}: ok, {len(settings.streams)} stream overrides, sinks: {sinks}", soft_wrap=True)
    for note in detector_notes(settings):
        if note.warns:
            notes().print(f"warning: {note.text}", style="yellow", soft_wrap=True, markup=False)
        else:
            console.print(note.text, soft_wrap=True, markup=False)
    if stream is not None:
        holds = settings.for_stream(stream)
        console.print(f"{stream}: owner {holds.owner or '-'}, route {holds.route}")
        for key, value in holds.detection.model_dump(mode="json").items():
            console.print(f"  {key}: {value}", soft_wrap=True)
