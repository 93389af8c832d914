"""Options that several commands share, each with one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.errors import ConfigError

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="OQM_CONFIG",
        metavar="FILE",
        help="Settings, as in config/monitor.yaml; without it every setting has its default.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout, nothing else.")]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="JSONL, CSV or Parquet; .gz, .bz2, .xz and .zst too.", show_default=False),
]
StreamName = Annotated[
    str | None,
    typer.Option(
        "--stream",
        metavar="NAME",
        help="Stream of records that name none; by default the file's name without its ending.",
        show_default=False,
    ),
]
ColumnMap = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help="Take an event's field from this column, e.g. output=completion or model.name=engine; also from inside "
        "JSON: output=response.choices.0.text. Repeatable.",
        show_default=False,
    ),
]
CriteriaOption = Annotated[
    Path | None,
    typer.Option(
        "--criteria",
        metavar="FILE",
        help="Check every output against the criteria in this file, too (docs/howto/check_outputs.md).",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N records.", show_default=False)
]


def column_map(pairs: list[str] | None) -> dict[str, str]:
    """`["output=text"]` as `{"output": "text"}`; raises `ConfigError` for what is no such pair."""
    from monitor.events.files.mapping import parse_mapping

    return parse_mapping(",".join(pairs or ()))


def existing(files: list[Path]) -> list[Path]:
    """The files themselves; raises `ConfigError` for the first that is none."""
    for path in files:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not a file")
        if not path.exists():
            raise ConfigError(f"{path}: no such file")
    return files
