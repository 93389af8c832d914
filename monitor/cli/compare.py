"""`oqm compare OLD NEW`: what differs between the outputs of two files, such as 50 answers before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.options import AsJson, ColumnMap, ConfigFile, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, print_json, progress, say_understood, tables
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.detection.diagnosis.sample_comparison import Difference, SampleComparison
    from monitor.features.batch import FeatureBatch
    from monitor.features.featurizer import Featurizer

EXIT_CHANGED = 1
"""Something changed, and --fail-on-change was given."""
EXIT_CANNOT_TELL = 3
"""Too few rows for an answer."""
_MOST_ROWS = 5_000
"""Rows of a side that are compared: with these each interval is narrower than its floor, and the resampling takes
40 MB of memory."""


@dataclass(frozen=True)
class Side:
    """One file, measured."""

    name: str
    batch: FeatureBatch
    inputs: list[str | None]


def command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Outputs before: JSONL, CSV or Parquet.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Outputs after.")],
    json: AsJson = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="Also write the result as a self-contained HTML page.", show_default=False
        ),
    ] = None,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show all features, the unchanged ones too.")] = False,
    fail_on_change: Annotated[
        bool, typer.Option("--fail-on-change", help="Exit with code 1 if something changed; for use in a build.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Compare the outputs of two files, each with 30 rows or more, feature by feature, with intervals.

    Where both files answer the same inputs, rows are compared in pairs, which finds smaller differences. A change is
    one that chance does not explain, corrected for the number of features, and that is at least its effect floor.
    Exit codes: 0 compared, 1 something changed (with --fail-on-change), 2 wrong input, 3 too few rows to say
    anything.
    """
    from monitor.cli.compare_html import page
    from monitor.detection.diagnosis.sample_comparison import FEWEST_ROWS, Outcome, compare_samples
    from monitor.features import build_featurizer
    from monitor.settings import load_settings

    settings = load_settings(config)
    featurizer = build_featurizer(settings.features.families, settings.features.embedding)
    if html is not None and not html.absolute().parent.is_dir():
        raise ConfigError(f"--html {html}: the folder {html.parent} is not there")
    mapping = column_map(map)
    sides = [_side(path, mapping, stream, limit, featurizer) for path in existing([old, new])]
    first, second = sides
    console = notes()
    if min(len(side.batch) for side in sides) < FEWEST_ROWS:
        counts = " and ".join(f"{len(side.batch):,} in {side.name}" for side in sides)
        why = f"cannot tell: {counts}; {FEWEST_ROWS} outputs are needed on each side"
        console.print(why, soft_wrap=True, markup=False)
        raise typer.Exit(EXIT_CANNOT_TELL)
    chosen = settings.for_stream(stream or first.batch.streams[0]).detection
    found = compare_samples(first.batch, second.batch, featurizer.specs, chosen.floors, (first.inputs, second.inputs))
    if json:
        for one in found.differences:
            print_json(as_record(one))
    else:
        _print(found, show_all=show_all)
    if html is not None:
        html.write_text(page(found, first, second), encoding="utf-8")
    console.print(verdict(found), soft_wrap=True, markup=False)
    if fail_on_change and found.of(Outcome.CHANGED):
        raise typer.Exit(EXIT_CHANGED)


def _side(path: Path, mapping: dict[str, str], stream: str | None, limit: int | None, featurizer: Featurizer) -> Side:
    from monitor.cli.features import BATCH
    from monitor.events.files.notes import FileNotes
    from monitor.events.files.reader import read_events
    from monitor.features.batch import concat

    rejected, understood = Rejected(notes()), FileNotes()
    parts, inputs = [], []
    with progress(notes()) as bar:
        task = bar.add_task(path.name, total=None, note="")
        events = islice(rejected.drop_from(read_events(path, mapping, stream, understood)), limit or _MOST_ROWS)
        while some := list(islice(events, BATCH)):
            parts.append(featurizer.featurize(some, source=path.name))
            inputs += [event.input for event in some]
            bar.advance(task, len(some))
    say_understood(understood)
    rejected.summarise()
    if not parts:
        raise ConfigError(f"{path}: holds no outputs")
    return Side(path.name, concat(parts), inputs)


def as_record(one: Difference) -> dict[str, Any]:
    """A feature as `--json` prints it."""
    return {
        "feature": one.spec.name,
        "outcome": one.outcome.value,
        "statistic": one.statistic,
        "value": one.value,
        "before": one.before,
        "after": one.after,
        "low": one.low,
        "high": one.high,
        "effect": one.effect,
        "p": one.p,
        "unit": one.spec.unit,
        "meaning": one.spec.meaning,
        "rows": list(one.rows),
    }


def verdict(found: SampleComparison) -> str:
    """The last line: how much was compared and what came of it."""
    from monitor.detection.diagnosis.sample_comparison import Outcome, summary

    counts = summary(found)
    rows = f"{found.old_rows:,} old and {found.new_rows:,} new outputs"
    if found.pairs is not None:
        rows = f"{len(found.pairs):,} pairs of outputs to the same inputs"
    changed = counts[Outcome.CHANGED]
    parts = [f"{changed} feature{'' if changed == 1 else 's'} changed" if changed else "no feature changed for certain"]
    if counts[Outcome.SMALL]:
        parts.append(f"{counts[Outcome.SMALL]} by less than their floor")
    parts.append(f"{counts[Outcome.SAME]} are the same within their floor")
    if counts[Outcome.OPEN]:
        parts.append(f"{counts[Outcome.OPEN]} cannot be decided with this many outputs")
    line = f"{rows}: {'; '.join(parts)}"
    if found.pairs is None and found.inputs_changed:
        line += ". The inputs differ, too: compare answers to the same questions to see what the model does"
    return line


def name_of(one: Difference) -> str:
    """How a feature is called: with the value of a category, or that it is the share of events without one."""
    if one.statistic == "missing":
        return f"{one.spec.name} missing"
    return f"{one.spec.name}={one.value}" if one.value is not None else one.spec.name


def sides_of(one: Difference) -> tuple[str, str, str]:
    """Before, after, and the interval of the difference, as people read them."""
    from monitor.alerting.rendering.number_format import amount, share

    if one.statistic in ("rate", "share", "missing"):
        points = f"{100 * one.low:+.3g} to {100 * one.high:+.3g} points"
        return share(one.before), share(one.after), points
    span = f"{_signed(one.low)} to {_signed(one.high)}"
    return amount(one.before), amount(one.after), f"{span} {one.spec.unit}".rstrip()


def _signed(value: float) -> str:
    from monitor.alerting.rendering.number_format import amount

    return f"+{amount(value)}" if value > 0 else amount(value)


def shown(found: SampleComparison, *, show_all: bool) -> Sequence[Difference]:
    """What a table shows: what changed and what may have; with `show_all` every feature."""
    from monitor.detection.diagnosis.sample_comparison import Outcome

    if show_all:
        return found.differences
    return [*found.of(Outcome.CHANGED), *found.of(Outcome.SMALL)]


def _print(found: SampleComparison, *, show_all: bool) -> None:
    from rich.text import Text

    from monitor.alerting.from_finding import short_meaning
    from monitor.cli.fitted_table import FittedTable
    from monitor.detection.diagnosis.sample_comparison import Outcome

    rows = shown(found, show_all=show_all)
    if not rows:
        return
    styles = {Outcome.CHANGED: "bold red", Outcome.SMALL: "yellow", Outcome.SAME: "green", Outcome.OPEN: "dim"}
    figures = ("before", "after", "difference, 95 %", "x floor")
    what = "what changed" if not show_all else "feature"
    table = FittedTable(what, *figures, "meaning", prose=("difference, 95 %", "meaning"), right=figures)
    for one in rows:
        before, after, interval = sides_of(one)
        style = styles[one.outcome]
        effect = f"{abs(one.effect):.1f}"
        table.add_row(Text(name_of(one), style=style), before, after, interval, effect, short_meaning(one.spec))
    tables().print(table)
