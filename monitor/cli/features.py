"""`oqm features FILE`: what the monitor measures of each event in a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from monitor.cli.options import AsJson, ColumnMap, ConfigFile, Limit, StreamName, column_map, existing
from monitor.cli.output import Rejected, notes, print_json, progress, say_understood, tables

if TYPE_CHECKING:
    from monitor.features.base import FeatureSpec
    from monitor.features.batch import FeatureBatch

BATCH = 512
"""Events featurized at once: numpy's cost per call is shared, and a batch of long texts still fits in memory."""


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSONL, CSV or Parquet, plain or compressed.")],
    json: AsJson = False,
    stream: StreamName = None,
    map: ColumnMap = None,
    limit: Limit = None,
    config: ConfigFile = None,
) -> None:
    """Measure every event of a file: one JSON object per event, or a table of typical values.

    Numbers and counts are numbers, flags true or false, a feature that is missing for an event is null; vectors are
    left out.
    """
    from monitor.events.files.notes import FileNotes
    from monitor.events.files.reader import read_events
    from monitor.features import build_featurizer
    from monitor.settings import load_settings

    wanted = load_settings(config).features
    understood = FileNotes()
    records_of_file = read_events(existing([file])[0], column_map(map), stream, understood)
    featurizer = build_featurizer(wanted.families, wanted.embedding, excerpts=False)
    console = notes()
    rejected = Rejected(console)
    seen: list[FeatureBatch] = []
    with progress(console) as bar:
        task = bar.add_task("features", total=None, note="")
        events = rejected.drop_from(islice(records_of_file, limit))
        while some := list(islice(events, BATCH)):
            batch = featurizer.featurize(some, source=file.name)
            bar.advance(task, len(batch))
            if json:
                for record in records(batch, featurizer.specs):
                    print_json(record)
            else:
                seen.append(batch)
    say_understood(understood)
    rejected.summarise()
    if not rejected.accepted:
        console.print(f"{file.name}: no rows", markup=False, soft_wrap=True)
    for family, count in featurizer.failures.items():
        console.print(f"{family}: failed on {count:,} events, whose columns are missing")
    if not json:
        _print_table(seen, featurizer.specs)


def records(batch: FeatureBatch, specs: Sequence[FeatureSpec]) -> Iterator[dict[str, Any]]:
    """One record an event: `{"id", "stream", "features": {name: number, true/false, string or null}}`.

    Behind the declared features stand those of each dependency that the event called.
    """
    from monitor.features.families.dependencies import DURATION, ERRORS, NO_CALLS, SHAPE, keyed

    columns = python_columns(batch, specs)
    names = list(columns)
    calls = batch.calls or [NO_CALLS] * len(batch)
    for identity, stream, called, *row in zip(batch.ids, batch.streams, calls, *columns.values(), strict=True):
        measured = dict(zip(names, row, strict=True))
        for name, one in called.items():
            facts = (None if math.isnan(one.duration_s) else one.duration_s, one.failed, one.shape)
            measured.update(zip((keyed(feature, name) for feature in (DURATION, ERRORS, SHAPE)), facts, strict=True))
        yield {"id": identity, "stream": stream, "features": measured}


def python_columns(batch: FeatureBatch, specs: Sequence[FeatureSpec]) -> dict[str, list[Any]]:
    """The batch's columns as plain Python values in the order of declaration, None where missing."""
    import numpy as np

    from monitor.features.base import Kind

    place = {name: k for k, name in enumerate(batch.names)}
    columns: dict[str, list[Any]] = {}
    for spec in specs:
        if spec.kind is Kind.CATEGORY:
            columns[spec.name] = list(batch.categories.get(spec.name, [None] * len(batch)))
            continue
        if spec.kind is Kind.VECTOR or spec.name not in place:
            continue
        values = batch.values[:, place[spec.name]]
        there = np.isfinite(values).tolist()
        if spec.kind is Kind.FLAG:
            plain: list[Any] = (values > 0.5).tolist()
        elif spec.kind is Kind.COUNT:
            plain = np.where(np.isfinite(values), values, 0).astype(np.int64).tolist()
        else:
            # The shortest decimal that is this float32: 0.1, not 0.10000000149011612.
            plain = [float(text) for text in values.astype(str).tolist()]
        columns[spec.name] = [value if ok else None for value, ok in zip(plain, there, strict=True)]
    return columns


class _Typical(NamedTuple):
    """What the table says of one feature, as text; `spread` is empty for what has none."""

    typical: str
    spread: str
    missing: str


def _print_table(batches: Sequence[FeatureBatch], specs: Sequence[FeatureSpec]) -> None:
    """A row for each feature; on a narrow terminal its meaning stands below what is typical."""
    from monitor.cli.fitted_table import FittedTable
    from monitor.features.base import Kind

    title = f"{sum(map(len, batches)):,} events"
    headings = ("feature", "kind", "typical", "middle half", "missing", "meaning")
    wide = FittedTable(*headings, prose=("typical", "meaning"), title=title)
    narrow = FittedTable("feature", "typical", prose=("typical",), title=title)
    for spec in specs:
        if spec.kind is Kind.VECTOR or not batches:
            continue
        one = _typical(batches, spec)
        wide.add_row(spec.name, spec.kind.value, one.typical, one.spread, one.missing, spec.meaning)
        spread = f" ({one.spread})" if one.spread else ""
        narrow.add_row(spec.name, f"{one.typical or '-'}{spread}, missing {one.missing}\n{spec.meaning}")
    console = tables()
    console.print(wide if wide.fits(console.width) else narrow)


def _typical(batches: Sequence[FeatureBatch], spec: FeatureSpec) -> _Typical:
    from collections import Counter

    import numpy as np

    from monitor.features.base import Kind

    if spec.kind is Kind.CATEGORY:
        counted = Counter(value for batch in batches for value in batch.categories.get(spec.name, ()))
        n = counted.total()
        missing = counted.pop(None, 0)
        typical = ", ".join(f"{value} {count / n:.0%}" for value, count in counted.most_common(2))
        return _Typical(typical, "", f"{missing / n:.0%}" if n else "")
    parts = [b.values[:, b.names.index(spec.name)] for b in batches if spec.name in b.names]
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    present = values[np.isfinite(values)].astype(np.float64)
    n, missing = len(values), len(values) - len(present)
    typical, spread = "", ""
    if len(present) and spec.kind is Kind.FLAG:
        typical = f"{present.mean():.1%}"
    elif len(present):
        low, median, high = np.quantile(present, [0.25, 0.5, 0.75])
        typical, spread = f"{median:.4g} {spec.unit}".rstrip(), f"{low:.4g} to {high:.4g}"
    return _Typical(typical, spread, f"{missing / n:.0%}" if n else "")
