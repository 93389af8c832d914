"""Estimates of quality as a table, or on a narrow terminal as blocks of lines, with notes on what limits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from monitor.alerting.rendering.moments import moment
from monitor.cli.people_rates import has_people, people_notes, people_rates, percent, rate_in_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from monitor.judgment.quality import Quality

WIDEST = 10_000  # columns: the table is measured as if it had all the room it wants
MOST_NOTES = 12  # more would push the table off the screen; the rest is counted, and --json has all
OPEN_SHOWN_FROM = 0.005
"""Share of outputs without any verdict in their stratum from which a note says so: below it does not show."""
CANNOT_TELL = "cannot tell"


def print_estimates(console: Console, found: Sequence[Quality]) -> None:
    """Print estimates, none with a rate without its interval and number, and below what a reader must know.

    A table that is wider than the terminal would break its words; it becomes a block of lines for each estimate.
    """
    from rich.measure import Measurement

    from monitor.alerting.rendering.terminal_text import plain

    table = _table(found)
    if Measurement.get(console, console.options.update(width=WIDEST), table).maximum <= console.width:
        console.print(table)
    else:
        for one in found:
            console.print(_name(one), style="bold", markup=False)
            console.print(f"  {_sentence(one)}", markup=False)
            for who, rate in people_rates(one, _who(one)):
                console.print(f"  {rate_in_words(rate)}: {one.people:,} labelled, by {plain(who)}", markup=False)
    lines = list(_notes(found))
    for line in lines[:MOST_NOTES]:
        console.print(line, markup=False)
    if len(lines) > MOST_NOTES:
        console.print(f"and {len(lines) - MOST_NOTES} more notes: --json has them all", markup=False)


def _table(found: Sequence[Quality]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from monitor.alerting.rendering.terminal_text import plain

    by = list(dict.fromkeys(name for one in found for name in one.by))
    several = len({_who(one) for one in found if one.method.value != "every_output"}) > 1 or any(map(has_people, found))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("stream", "criterion", *by):
        table.add_column(heading, no_wrap=True)
    table.add_column("pass", justify="right", no_wrap=True)
    table.add_column("95 % between", no_wrap=True)
    table.add_column("judged of seen", justify="right", no_wrap=True)
    table.add_column("missing", justify="right", no_wrap=True)
    if several:
        table.add_column("by", no_wrap=True)
    for one in found:
        sample = one.method.value != "every_output"
        interval = "-" if one.rate is None else f"{percent(one.low)} to {percent(one.high)}" if sample else "exact"
        judged = f"{one.judged:,} of {one.seen:,}" if one.seen else f"{one.judged:,}"
        cells = [
            Text(plain(one.stream)), Text(one.criterion), *(Text(plain(one.by.get(name, ""))) for name in by),
            Text(CANNOT_TELL, style="yellow") if one.rate is None else Text(f"{percent(one.rate)} %"),
            Text(interval), Text(judged), Text(f"{one.missing:,}" if sample else "-"),
        ]  # fmt: skip
        table.add_row(*cells, *([Text(plain(_who(one)))] if several else []))
        for who, rate in people_rates(one, _who(one)):
            of_people = [
                Text(f"{percent(rate.rate)} %"), Text(f"{percent(rate.low)} to {percent(rate.high)}"),
                Text(f"{one.people:,} of {one.seen:,}"), Text(f"{one.people_unsure:,}"), Text(plain(who)),
            ]  # fmt: skip
            table.add_row(*cells[: 2 + len(by)], *of_people)
    return table


def _sentence(one: Quality) -> str:
    if one.method.value == "feedback":
        content = (
            CANNOT_TELL
            if one.rate is None
            else (f"{percent(one.rate)} % content ({percent(one.low)} to {percent(one.high)})")
        )
        return f"{content}: {one.judged:,} users said so, {one.missing:,} in the middle"
    number = f"{one.judged:,} judged of {one.seen:,} seen, {one.missing:,} missing, by {_who(one)}"
    if one.rate is None:
        return f"{CANNOT_TELL}: {number}"
    if one.method.value == "sample":
        return f"{percent(one.rate)} % pass ({percent(one.low)} to {percent(one.high)}): {number}"
    return f"{percent(one.rate)} % pass, of all {one.judged:,} outputs checked"


def _name(one: Quality) -> str:
    from monitor.alerting.rendering.terminal_text import plain

    return plain(", ".join((one.stream, one.criterion, *(f"{name} {value}" for name, value in one.by.items()))))


def _who(one: Quality) -> str:
    if one.method.value == "feedback":
        return "users"
    if one.method.value != "sample":
        return "check"
    if not one.evaluator:
        return "nobody yet"
    return one.evaluator if one.identities == 1 else f"{one.evaluator} {(one.identity or 'unknown')[:8]}"


def _notes(found: Sequence[Quality]) -> Iterator[str]:
    from monitor.alerting.rendering.terminal_text import plain

    sampled = [one for one in found if one.method.value == "sample"]
    if sampled:
        since = moment(min(one.since for one in sampled))
        if sampled[0].always_valid:
            yield f"Intervals hold at every look, for outputs since {since}."
        else:
            yield f"Intervals hold for one look at outputs since {since}: for a report, not for watching."
        who = sorted({one.evaluator for one in sampled if one.evaluator})
        if who and not any(one.people for one in sampled):
            waiting = sum(one.people_open for one in sampled)
            queue = f"; {waiting:,} outputs wait for one in the review queue (oqm review)" if waiting else ""
            models = ", ".join(who)
            yield f"Verdicts are a model's ({models}), with its errors: no person has looked at them yet{queue}."
        yield from people_notes(sampled, _name)
    if any(one.method.value == "feedback" for one in found):
        yield (
            "What users say (feedback_...) is the share among those who answered. Who answers chooses to, so it is no "
            "share of all outputs; its interval covers chance alone."
        )
    several = set()
    for one in sampled:
        if one.identities > 1 and (one.stream, one.criterion) not in several:
            several.add((one.stream, one.criterion))
            yield (
                f"{plain(one.stream)}, {one.criterion}: {one.identities} evaluators, or versions of one, judged in "
                "this window. Each has its own row; a difference between the rows may be theirs and not the outputs'."
            )
    for one in sampled:
        if one.if_missing is not None:
            share = one.missing / (one.judged + one.missing)
            low, high = one.if_missing
            yield (
                f"{_name(one)}: {percent(share)} % of the outputs drawn have no verdict; {percent(low)} % would pass "
                f"if all of these failed, {percent(high)} % if all passed."
            )
        if one.rate is not None and one.unjudged_share >= OPEN_SHOWN_FROM:
            yield (
                f"{_name(one)}: {percent(one.unjudged_share)} % of the outputs are of a stratum of which none was "
                "judged; the interval leaves them open."
            )
        if one.rate is None:
            why = f"all {one.missing:,} verdicts are missing" if one.missing else "nothing was judged"
            yield f"{_name(one)}: {CANNOT_TELL}, as {why}."
