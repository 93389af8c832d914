"""`oqm anchors`: labelled outputs by which an evaluator is watched: add some, judge them now, see where they stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from monitor.cli.connection import Connection, with_connection
from monitor.cli.ledger_option import LedgerOption
from monitor.cli.options import AsJson, ConfigFile, existing
from monitor.cli.output import notes, print_json, tables
from monitor.cli.store_option import StoreOption
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.criteria.anchors import Anchor
    from monitor.criteria.criterion import Criterion
    from monitor.judgment.anchor_book import AnchorBook
    from monitor.settings import Settings
    from pipelines.kafka.producer import Outgoing

EXCERPT_CHARS = 80  # of an output in the table: a line of a terminal

CriterionName = Annotated[str, typer.Argument(metavar="CRITERION", help="Name of the criterion.")]
AnyCriterion = Annotated[
    str | None,
    typer.Argument(metavar="CRITERION", help="Only of this criterion; without it, of all.", show_default=False),
]


def group() -> typer.Typer:
    """The command group."""
    app = typer.Typer(
        help="Outputs that people labelled, judged again and again to see whether the evaluator changes.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    app.command("add")(add)
    app.command("run")(run)
    app.command("list")(list_)
    return app


def add(
    criterion: CriterionName,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="JSON lines or CSV with `output`, `passed` and, if known, `input`, `prompt` and `event`.",
            show_default=False,
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="ID", help="An output of the trace store. Repeatable.", show_default=False),
    ] = None,
    passed: Annotated[
        bool | None,
        typer.Option("--passed/--failed", help="What people say of the outputs given by --event.", show_default=False),
    ] = None,
    reviewed: Annotated[
        bool,
        typer.Option("--reviewed", help="Outputs that reviewers labelled and marked as anchors (`oqm review`, key a)."),
    ] = False,
    ledger: LedgerOption = None,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Add labelled outputs to the file that the criterion names under `anchors`.

    About a hundred are enough: half of them failures, some borderline. Workers read the file when they start.
    """
    from monitor.criteria.anchors import append_anchors, read_anchors
    from monitor.settings import load_settings

    if (source is not None) + bool(event) + reviewed != 1:
        raise ConfigError("give --from FILE, or --event ID with --passed or --failed, or --reviewed")
    if event and passed is None:
        raise ConfigError("--event: say what people say of it: --passed or --failed")
    if not event and passed is not None:
        where = (
            "the labels stand in the file, under `passed`" if source is not None else "the labels are the reviewers'"
        )
        raise ConfigError(f"{'--from' if source is not None else '--reviewed'}: {where}")
    settings = load_settings(config)
    [chosen] = _chosen(settings, criterion)
    path = str(chosen.anchors)
    found = list(read_anchors(existing([source])[0]).values()) if source is not None else []
    if event:
        found = _stored(settings, store, [(one, bool(passed)) for one in event], "--event ")
    elif reviewed:
        found = _stored(settings, store, _reviewed(settings, ledger, store, criterion), "")
    added = append_anchors(path, found)
    total = read_anchors(path)
    good = sum(anchor.passed for anchor in total.values())
    known = f", {len(found) - added:,} were there" if added < len(found) else ""
    _say(
        f"{path}: {added:,} added{known}; {len(total):,} in all, {good:,} that pass and {len(total) - good:,} that fail"
    )
    if added:
        _say("workers take them when they are started again")


@with_connection
def run(
    connection: Connection,
    criterion: AnyCriterion = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Take the verdicts as the new baseline: five on each anchor are asked for."),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Ask for a verdict on each anchor now, beside those that are asked for daily.

    The requests go to the topic of sampled outputs, where workers with the role judge take them; `oqm anchors list`
    shows the verdicts.
    """
    from monitor.criteria.anchors import read_anchors
    from monitor.judgment.anchor_book import REPEATS
    from monitor.settings import load_settings
    from pipelines.kafka.topics import read_topics
    from pipelines.stages.anchors import requests

    settings = connection.over(load_settings(config))
    chosen = _chosen(settings, criterion)
    topics = read_topics(settings.broker, settings.topics)
    now = time.time()
    asked: list[Outgoing] = []
    for one in chosen:
        anchors = list(read_anchors(str(one.anchors)).values())
        rounds = REPEATS if again else 1
        pin = f"{now:.0f}" if again else ""
        asked += requests(one.name, anchors * rounds, now, topics, pin)
        what = f"{len(anchors) * rounds:,} verdicts on {len(anchors):,} anchors asked for"
        _say(f"{one.name}: {what}{', as the new baseline' if again else ''}")
    asyncio.run(_send(settings, asked))


async def _send(settings: Settings, messages: Sequence[Outgoing]) -> None:
    from pipelines.kafka.producer import LogProducer

    producer = LogProducer(settings.broker)
    await producer.start()
    try:
        await producer.send(messages)
    finally:
        await producer.stop()


@with_connection
def list_(
    connection: Connection,
    criterion: AnyCriterion = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show each criterion's anchors: their labels, baselines and latest verdicts, those that changed first.

    Reads what workers keep in Kafka, from any machine.
    """
    from monitor.criteria.anchors import read_anchors
    from monitor.judgment.anchor_book import AnchorBook
    from monitor.settings import load_settings
    from pipelines.kafka.topics import read_topics
    from pipelines.state.anchor_states import read_anchor_states

    settings = connection.over(load_settings(config))
    chosen = _chosen(settings, criterion)
    topics = read_topics(settings.broker, settings.topics)
    states = asyncio.run(read_anchor_states(settings.broker, topics))
    for one in chosen:
        anchors = read_anchors(str(one.anchors))
        book = AnchorBook(one.name, anchors, one.anchors_per_day, states.get(one.name))
        rows = _rows(book, anchors)
        if json:
            for row in rows:
                print_json({"criterion": one.name, **row})
        else:
            _print(book, anchors, rows)


def _chosen(settings: Settings, name: str | None) -> list[Criterion]:
    """The criteria with anchors, or the one of this name. Raises `ConfigError` where there is none."""
    judged = {criterion.name: criterion for criterion in settings.judged}
    anchored = {own: criterion for own, criterion in judged.items() if criterion.anchors is not None}
    if name is None:
        if not anchored:
            raise ConfigError("no criterion has anchors; name a file under `anchors` of a criterion with an evaluator")
        return list(anchored.values())
    if name not in judged:
        there = f"there are: {', '.join(judged)}" if judged else "there is none"
        raise ConfigError(f"{name}: no criterion of this name is judged by an evaluator; {there}")
    if name not in anchored:
        raise ConfigError(f"{name}: the criterion names no file; add `anchors: anchors/{name}.jsonl` to it")
    return [anchored[name]]


def _reviewed(settings: Settings, ledger: str | None, store: str | None, criterion: str) -> list[tuple[str, bool]]:
    """The ids of what reviewers marked as anchors, with their labels."""
    from monitor.actions.review import Also, Opinion
    from monitor.cli.ledger_option import ledger_address
    from monitor.ledger.open import open_ledger
    from monitor.ledger.reviews import ReviewQueue

    opened = open_ledger(
        ledger_address(settings, ledger or (None if settings.serve.database else store)), read_only=True
    )
    try:
        marked = ReviewQueue(opened).marked(criterion, Also.ANCHOR)
    finally:
        opened.close()
    return [(item.event, decision.opinion is Opinion.PASS) for item, decision in marked]


def _stored(settings: Settings, store: str | None, labelled: Sequence[tuple[str, bool]], what: str) -> list[Anchor]:
    """Outputs of the trace store as anchors, in the form in which privacy keeps their texts.

    `labelled` has ids and labels; `what` stands before an id in errors.
    """
    from monitor.criteria.anchors import Anchor
    from monitor.store.kept_form import is_hashed
    from monitor.store.open import open_store

    location = store or settings.store.location
    if not location:
        raise ConfigError("no trace store: give --store, or --config with store.location")
    traces = open_store(location, read_only=True)
    found: list[Anchor] = []
    try:
        for event, passed in labelled:
            outputs = traces.find(event)
            if not outputs:
                raise ConfigError(f"{what}{event}: the trace store has no output with this id")
            one = outputs[0]
            texts = {"output": one.output, "input": one.input, "prompt": one.prompt_text}
            known = {name: text for name, text in texts.items() if text is not None and not is_hashed(text)}
            if "output" not in known:
                raise ConfigError(f"{what}{event}: the trace store keeps no text of its output (store.privacy)")
            found.append(Anchor(passed=passed, event=one.id, **known))
    finally:
        traces.close()
    return found


def _rows(book: AnchorBook, anchors: Mapping[str, Anchor]) -> list[dict[str, Any]]:
    """One row an anchor, those whose latest verdict lies farthest from their baseline first."""
    latest = {verdict.anchor: verdict for verdict in book.state.recent}
    base = book.pinned
    rows: list[dict[str, Any]] = []
    for name, anchor in anchors.items():
        passes, verdicts = (0, 0) if base is None else base.counts.get(name, (0, 0))
        last = latest.get(name)
        rows.append(
            {
                "anchor": name,
                "event": anchor.event,
                "people": anchor.passed,
                "baseline_passed": passes,
                "baseline_verdicts": verdicts,
                "latest": None if last is None else last.passed,
                "latest_time": None if last is None else last.time,
                "rationale": None if last is None else last.rationale,
                "output": anchor.output,
                "_changed": 0.0 if last is None else abs(last.passed - last.level),
            }
        )
    rows.sort(key=lambda row: -float(row["_changed"]))
    return [{key: value for key, value in row.items() if key != "_changed"} for row in rows]


def _print(book: AnchorBook, anchors: Mapping[str, Anchor], rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from monitor.alerting.rendering.terminal_text import plain

    good = sum(anchor.passed for anchor in anchors.values())
    tables().print(
        f"{book.criterion}: {len(anchors):,} anchors, of which people passed {good:,} and failed "
        f"{len(anchors) - good:,}; {_standing(book)}",
        markup=False,
        soft_wrap=True,
    )
    table = Table("anchor", "people", "baseline", "latest", "output")
    for row in rows:
        text = plain(" ".join(str(row["output"]).split()))
        verdicts = row["baseline_verdicts"]
        table.add_row(
            Text(str(row["anchor"])),
            _word(row["people"]),
            f"passed {row['baseline_passed']} of {verdicts}" if verdicts else "none yet",
            "none yet" if row["latest"] is None else _word(row["latest"]),
            Text(text[:EXCERPT_CHARS] + ("..." if len(text) > EXCERPT_CHARS else "")),
        )
    tables().print(table)


def _standing(book: AnchorBook) -> str:
    from monitor.alerting.rendering.moments import moment
    from monitor.criteria.derived import evaluator_name

    base = book.pinned
    if base is None:
        missing = sum(book.lacking().values())
        return f"not pinned yet, {missing:,} verdicts are missing: nothing is compared until a judge has given them"
    evidence, threshold = book.log_evidence
    who = evaluator_name(base.evaluator, base.identity)
    said = f"pinned with {who}, {moment(base.since)}; {book.state.verdicts:,} verdicts compared since the first one"
    if book.state.open is not None:
        return f"{said}; the evaluator changed: {book.state.open.finding.title.partition(': ')[2]}"
    return f"{said}; evidence of a change 10^{evidence:.1f} of 10^{threshold:.1f}"


def _word(passed: object) -> str:
    return "passes" if passed else "fails"


def _say(line: str) -> None:
    notes().print(line, markup=False, soft_wrap=True)
