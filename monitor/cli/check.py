"""`oqm check FILE`: which outputs violate which criteria, for a look at a file and for a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from monitor.cli.options import (
    AsJson,
    ColumnMap,
    ConfigFile,
    CriteriaOption,
    Files,
    Limit,
    StreamName,
    column_map,
    existing,
)
from monitor.cli.output import Rejected, notes, print_json, progress, say_understood, tables
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.criteria.criterion import Criterion
    from monitor.events.schema import OutputEvent
    from monitor.features.featurizer import Featurizer
    from monitor.settings import Settings

EXIT_VIOLATED = 1  # as tools for a build do: what was asked for is not so
EXIT_CANNOT_TELL = 3  # as `oqm replay` and `oqm compare` do: too little to judge by; 2 is a wrong call
MAX_EXAMPLES = 3  # ids of outputs that the table names for each criterion; --json names all


@dataclass
class Tally:
    """What became of one criterion.

    Attributes
    ----------
    checked, undecided
        Outputs for which the check decided, and for which it could not (no text, a feature that is missing).
    violating
        Ids of the outputs that violate it, in the order of the file.
    """

    criterion: Criterion
    checked: int = 0
    undecided: int = 0
    violating: list[str] = field(default_factory=list)


def command(
    files: Files,
    criteria: CriteriaOption = None,
    json: AsJson = False,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    config: ConfigFile = None,
) -> None:
    """Check the outputs of files against criteria: those of --criteria, and those of each stream in the settings.

    Prints how many outputs violate each criterion, with a 95 % interval of the rate, and examples; with --json one
    object per criterion with the ids of all of them. Exit codes: 0 every decided output passes, 1 some output violates
    a criterion, 2 wrong input, 3 some criterion could be decided for no output.
    """
    from monitor.settings import load_settings
    from monitor.settings.criteria_file import load_criteria, with_criteria
    from pipelines.build import featurizer_for

    settings = load_settings(config)
    if criteria is not None:
        settings = with_criteria(settings, load_criteria(criteria))
    if settings.judged:
        names = ", ".join(dict.fromkeys(criterion.name for criterion in settings.judged))
        notes().print(f"not checked here, as an evaluator judges them: {names}", markup=False)
    if not settings.checks:
        raise ConfigError("no criteria with a check: give --criteria FILE, or --config with criteria under streams")
    tallies = _checked(existing(files), settings, featurizer_for(settings), column_map(map), stream, limit)
    if json:
        for tally in tallies.by_name.values():
            print_json(_record(tally))
    else:
        _print(list(tallies.by_name.values()))
    if not tallies.outputs:
        notes().print("cannot tell: the files hold no outputs", markup=False)
        raise typer.Exit(EXIT_CANNOT_TELL)
    _say_verdict(tallies)
    if any(tally.violating for tally in tallies.by_name.values()):
        raise typer.Exit(EXIT_VIOLATED)
    if not all(tally.checked for tally in tallies.by_name.values()):
        raise typer.Exit(EXIT_CANNOT_TELL)


@dataclass
class _Tallies:
    by_name: dict[str, Tally]
    outputs: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)


def _checked(
    files: Sequence[Path],
    settings: Settings,
    featurizer: Featurizer,
    columns: dict[str, str],
    stream: str | None,
    limit: int | None,
) -> _Tallies:
    from monitor.cli.features import BATCH
    from monitor.events.files.notes import FileNotes
    from monitor.events.files.reader import read_events

    tallies = _Tallies({criterion.name: Tally(criterion) for criterion in settings.checks})
    for path in files:
        rejected, understood = Rejected(notes()), FileNotes()
        with progress(notes()) as bar:
            task = bar.add_task(path.name, total=None, note="")
            events = islice(rejected.drop_from(read_events(path, columns, stream, understood)), limit)
            while some := list(islice(events, BATCH)):
                _count(tallies, some, settings, featurizer, path.name)
                bar.advance(task, len(some))
        say_understood(understood)
        rejected.summarise()
    tallies.failures = {name: n for name, n in featurizer.failures.items() if n}
    return tallies


def _count(
    tallies: _Tallies, events: Sequence[OutputEvent], settings: Settings, featurizer: Featurizer, source: str
) -> None:
    batch = featurizer.featurize(events, source=source)
    tallies.outputs += len(batch)
    asked = {
        name: {one.name for one in settings.criteria_of(name) if one.check is not None} for name in set(batch.streams)
    }
    for name, tally in tallies.by_name.items():
        flags = batch.values[:, batch.names.index(tally.criterion.feature)].tolist()
        for identity, stream, flag in zip(batch.ids, batch.streams, flags, strict=True):
            if name not in asked[stream]:
                continue
            if flag != flag:  # NaN
                tally.undecided += 1
                continue
            tally.checked += 1
            if flag:
                tally.violating.append(identity)


def _record(tally: Tally) -> dict[str, Any]:
    low, high = _interval(tally)
    return {
        "criterion": tally.criterion.name,
        "checked": tally.checked,
        "violating": len(tally.violating),
        "undecided": tally.undecided,
        "rate": len(tally.violating) / tally.checked if tally.checked else None,
        "low": low,
        "high": high,
        "level": 0.95,
        "ids": tally.violating,
    }


def _interval(tally: Tally) -> tuple[float | None, float | None]:
    from monitor.statistics.rates import wilson

    if not tally.checked:
        return None, None
    interval = wilson(len(tally.violating), tally.checked)
    return interval.low, interval.high


def _print(tallies: Sequence[Tally]) -> None:
    from rich.text import Text

    from monitor.cli.fitted_table import FittedTable

    figures = ("checked", "violate", "rate, 95 %", "undecided")
    table = FittedTable("criterion", *figures, "such as", prose=("rate, 95 %", "such as"), right=figures)
    for tally in tallies:
        style = "red" if tally.violating else "green" if tally.checked else "yellow"
        low, high = _interval(tally)
        rate = "cannot tell"
        if low is not None and high is not None:
            rate = f"{len(tally.violating) / tally.checked:.1%} ({low:.1%} to {high:.1%})"
        more = len(tally.violating) - MAX_EXAMPLES
        examples = ", ".join(tally.violating[:MAX_EXAMPLES]) + (f" and {more:,} more" if more > 0 else "")
        numbers = (f"{tally.checked:,}", f"{len(tally.violating):,}", rate, f"{tally.undecided:,}")
        table.add_row(Text(tally.criterion.name, style=style), *numbers, Text(examples))
    tables().print(table)


def _say_verdict(tallies: _Tallies) -> None:
    """The last line: how much was checked and what came of it."""
    console = notes()
    for name, count in tallies.failures.items():
        console.print(f"{name}: raised for {count:,} outputs, which are undecided", markup=False, soft_wrap=True)
    violated = sum(1 for tally in tallies.by_name.values() if tally.violating)
    blind = [name for name, tally in tallies.by_name.items() if not tally.checked]
    line = f"{tallies.outputs:,} outputs, {len(tallies.by_name)} criteria: "
    line += f"{violated} violated" if violated else "none violated"
    if blind:
        line += f"; cannot tell for {', '.join(blind)}: no output could be checked"
    console.print(line, markup=False, soft_wrap=True)
