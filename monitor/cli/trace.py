"""`oqm trace ID` and `oqm search`: outputs from the trace store, one in full, or many in a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer
from rich.markup import escape

from monitor.alerting.rendering.moments import moment
from monitor.cli.moments import parse_moment
from monitor.cli.options import AsJson, ConfigFile
from monitor.cli.output import notes, print_json, tables
from monitor.cli.store_option import StoreOption, opened
from monitor.cli.trace_reference import LEAST_VALUES, MOST_OUTPUTS, OUTPUTS

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.cli.trace_findings import Findings
    from monitor.cli.trace_reference import Reference
    from monitor.features.base import FeatureSpec
    from monitor.settings import Settings
    from monitor.store.base import TraceStore
    from monitor.store.feedback import StoredFeedback
    from monitor.store.query import StoredJudgment, StoredOutput

EXIT_NONE = 1  # as grep does: nothing was found; 2 is a wrong call
EXCERPT_CHARS = 160  # of an output in the table: two lines of a terminal; `oqm trace` has it whole


def command(
    event: Annotated[str, typer.Argument(metavar="ID", help="The output's id.")],
    stream: Annotated[
        str | None, typer.Option("--stream", metavar="NAME", help="Only in this stream.", show_default=False)
    ] = None,
    reference: Annotated[
        int,
        typer.Option(
            "--reference",
            min=0,
            max=MOST_OUTPUTS,
            metavar="N",
            help="Compare its features with at most N outputs of the stream from before it. 0: with none.",
        ),
    ] = OUTPUTS,
    json: AsJson = False,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Show an output with all that is known of it: input, prompt, version, steps, calls, checks, judgments, features.

    What users said of it stands there as well, and the alerts that were open at its time or quote it. Its features
    stand beside what was usual in the stream before it, or before the first of these alerts began. Texts are shown in
    the form in which privacy lets them be kept. Exit code 1: the store has no such output.
    """
    from monitor.settings import load_settings

    if 0 < reference < LEAST_VALUES:
        raise typer.BadParameter(
            f"0, or at least {LEAST_VALUES}: fewer do not say what is usual", param_hint="--reference"
        )
    settings = load_settings(config)
    traces = opened(settings, store)
    try:
        found = [one for one in traces.find(event) if stream in (None, one.stream)]
        for known in _known(found, traces, settings, reference):
            if json:
                print_json(known.as_json())
            else:
                _print_trace(known)
    finally:
        traces.close()
    if not found:
        notes().print(f"the trace store has no output with the id {event}", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_NONE)


class _Known(NamedTuple):
    """An output with what the store and the monitor know of it."""

    output: StoredOutput
    judged: Sequence[StoredJudgment]
    said: Sequence[StoredFeedback]
    findings: Findings
    features: Mapping[str, Any]
    reference: Reference | None
    specs: Mapping[str, FeatureSpec]

    def as_json(self) -> dict[str, Any]:
        record: dict[str, Any] = msgspec.to_builtins(self.output)
        for name, several in (("judgments", self.judged), ("feedback", self.said)):
            if several:
                record[name] = msgspec.to_builtins(several)
        record["findings"] = msgspec.to_builtins(self.findings)
        record["features"] = self.features
        if self.reference is not None:
            record["reference"] = msgspec.to_builtins(self.reference)
        return record


MOST_COMPARED = 5
"""Outputs with the same id that are compared with a reference each: an application that gives all outputs one id would
have the whole store measured."""


def _known(found: Sequence[StoredOutput], traces: TraceStore, settings: Settings, most: int) -> Iterator[_Known]:
    """What is known of each output, one after the other; `most` outputs are a reference."""
    from monitor.cli.stored_features import StoredFeatures
    from monitor.cli.trace_findings import findings_of
    from monitor.cli.trace_reference import reference_for

    if not found:
        return
    event = found[0].id
    judgments, feedback = traces.judgments(event), traces.feedback(event)
    measure = StoredFeatures(settings)
    for number, (one, features) in enumerate(zip(found, measure.of(found), strict=True)):
        findings = findings_of(one, traces)
        reference = None
        if most and number < MOST_COMPARED:
            reference = reference_for(one, features, findings, traces, measure, most)
        yield _Known(
            output=one,
            judged=[each for each in judgments if each.of(one)],
            said=[each for each in feedback if each.stream in (None, one.stream)],
            findings=findings,
            features=features,
            reference=reference,
            specs=measure.specs,
        )


def search(
    stream: Annotated[
        str | None, typer.Option("--stream", metavar="GLOB", help="Name of the stream, or a pattern.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From then on: 13:00 (UTC), 2h, 2026-11-30T13:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to then.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="TEXT", help="Part of the model or prompt and its version.")
    ] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="Of this conversation.")] = None,
    trace: Annotated[str | None, typer.Option("--trace", metavar="ID", help="Of this trace.")] = None,
    check: Annotated[
        str | None, typer.Option("--check", metavar="NAME", help="That violate the check of this criterion.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="That hold this in input or output.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="At most this many.")] = 20,
    json: AsJson = False,
    store: StoreOption = None,
    config: ConfigFile = None,
) -> None:
    """Find outputs in the trace store, the newest first; every option narrows. Exit code 1: there is none.

    With --json each line is one output; `oqm trace ID` shows one in full.
    """
    from monitor.settings import load_settings
    from monitor.store.query import Search

    now = time.time()
    asked = Search(
        stream=stream,
        since=None if since is None else parse_moment(since, now, "--since"),
        until=None if until is None else parse_moment(until, now, "--until"),
        version=version,
        session=session,
        trace=trace,
        check=check,
        text=text,
        limit=limit,
    )
    settings = load_settings(config)
    traces = opened(settings, store)
    try:
        found = traces.search(asked)
    finally:
        traces.close()
    if json:
        for one in found:
            print_json(one)
    elif found:
        _print_table(found)
    if not found:
        notes().print("the trace store has no such output", markup=False)
        _say_unknown_check(check, settings)
        raise typer.Exit(EXIT_NONE)
    if len(found) == limit and not json:
        notes().print(f"the newest {limit:,}; there may be more: --limit N", markup=False)


def _say_unknown_check(check: str | None, settings: Settings) -> None:
    """Where nothing is found because no criterion of the settings has the name that was asked for."""
    from monitor.config_values.plain_errors import did_you_mean

    known = [criterion.name for criterion in settings.criteria]
    if check is not None and known and check not in known:
        notes().print(f"no criterion has the name {check}{did_you_mean(check, known)}", markup=False, soft_wrap=True)


def _print_table(found: Iterable[StoredOutput]) -> None:
    from rich.text import Text

    from monitor.alerting.rendering.terminal_text import plain
    from monitor.cli.fitted_table import FittedTable

    table = FittedTable("time (UTC)", "id", "stream", "version", "violates", "output", prose=("violates", "output"))
    for one in found:
        text = plain(" ".join((one.output or "").split()))
        shown = text[:EXCERPT_CHARS] + ("..." if len(text) > EXCERPT_CHARS else "")
        table.add_row(
            moment(one.time), one.id, one.stream, one.version or "",
            Text(", ".join(one.violations), style="red"), Text(shown),
        )  # fmt: skip
    tables().print(table)


def _print_trace(known: _Known) -> None:
    from monitor.cli.trace_findings import print_findings
    from monitor.cli.trace_reference import print_features

    console, one = tables(), known.output
    _print_output(console, one)
    _print_verdicts(console, known.judged, known.said)
    print_findings(console, one, known.findings)
    print_features(console, known.features, known.reference, known.specs)


def _print_output(console: Console, one: StoredOutput) -> None:
    from monitor.alerting.rendering.terminal_text import plain

    console.print(f"[bold]{escape(one.id)}[/] in {escape(one.stream)}, {moment(one.time)}", soft_wrap=True)
    if one.version:
        console.print(f"version: {one.version}", markup=False, soft_wrap=True)
    for name in ("session", "trace", "finish_reason", "usage", "latency", "cost_usd", "error", "attributes"):
        if one.fields.get(name) not in (None, {}, []):
            console.print(f"{name}: {_shown(one.fields[name])}", markup=False, soft_wrap=True)
    if one.violations:
        console.print(f"violates: {', '.join(one.violations)}", style="red", markup=False, soft_wrap=True)
    for title, text in (("prompt", one.prompt_text), ("input", one.input), ("output", one.output)):
        console.print(f"\n[bold]{title}[/]")
        for line in ("(not sent, or not kept)" if text is None else text).split("\n"):
            console.print(f"  {plain(line)}", markup=False, soft_wrap=True)
    _print_list(console, "steps", one.fields.get("steps"))
    _print_list(console, "calls", one.fields.get("calls"))
    rest = {
        name: value
        for name, value in one.fields.items()
        if name not in _SHOWN and value not in (None, {}, [])
    }  # fmt: skip
    if rest:
        console.print("\n[bold]other fields[/]")
        console.print(_shown(rest), markup=False, soft_wrap=True)


def _print_verdicts(console: Console, judged: Sequence[StoredJudgment], said: Sequence[StoredFeedback]) -> None:
    from monitor.alerting.rendering.terminal_text import plain

    if judged:
        console.print("\n[bold]judgments[/]")
    for judgment in judged:
        console.print(f"  {_verdict(judgment)}", markup=False, soft_wrap=True)
        if judgment.rationale:
            console.print(f"    {plain(' '.join(judgment.rationale.split()))}", markup=False, soft_wrap=True)
    if said:
        console.print("\n[bold]feedback[/] of users")
    for feedback in said:
        console.print(f"  {_said(feedback)}", markup=False, soft_wrap=True)
        if feedback.text:
            console.print(f"    {plain(' '.join(feedback.text.split()))}", markup=False, soft_wrap=True)


def _said(feedback: StoredFeedback) -> str:
    from monitor.alerting.rendering.terminal_text import plain

    if feedback.kind == "correction":
        what = "corrected"
    elif feedback.value is not None and feedback.low is not None and feedback.high is not None:
        what = f"{feedback.value:g} of {feedback.low:g} to {feedback.high:g}"
    else:
        what = "up" if feedback.good else "down"
    who = f" by {feedback.by}" if feedback.by else ""
    return plain(f"{feedback.kind}: {what}{who}, {moment(feedback.time)}")


def _verdict(judgment: StoredJudgment) -> str:
    """`answers_question: failed, score 0.2, by main (gpt-x), drawn at 0.5, 2026-11-30 12:01:00 UTC`."""
    from monitor.alerting.rendering.terminal_text import plain

    said = f"no verdict ({judgment.missing})" if judgment.passed is None else "passed" if judgment.passed else "failed"
    score = "" if judgment.score is None else f", score {judgment.score:.2g}"
    model = f" ({judgment.answered_by})" if judgment.answered_by else ""
    why = f"drawn at {judgment.probability:.3g}" if judgment.purpose == "sample" else judgment.purpose
    alert = f" for alert {judgment.finding}" if judgment.finding else ""
    who = judgment.evaluator or "no evaluator"
    return plain(f"{judgment.criterion}: {said}{score}, by {who}{model}, {why}{alert}, {moment(judgment.judged_at)}")


_SHOWN = frozenset(
    {"session", "trace", "finish_reason", "usage", "latency", "cost_usd", "error", "attributes", "steps", "calls"}
    | {"model", "prompt"}
)
"""Fields that have their place above."""


def _print_list(console: Console, title: str, items: Any) -> None:
    from monitor.cli.call_lines import call_lines

    if not items:
        return
    console.print(f"\n[bold]{title}[/]")
    for number, item in enumerate(items if isinstance(items, list) else [items], start=1):
        for place, line in enumerate(call_lines(item)):
            console.print(f"{f'  {number}. ' if place == 0 else '     '}{line}", markup=False, soft_wrap=True)


def _shown(value: Any) -> str:
    from monitor.alerting.rendering.terminal_text import plain

    return plain(value if isinstance(value, str) else msgspec.json.encode(value).decode())
