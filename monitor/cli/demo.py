"""`oqm demo`: the whole path in two minutes, on this machine alone."""

from __future__ import annotations

from typing import Annotated

import typer

from monitor.cli.connection import Connection, with_optional_connection
from monitor.cli.options import AsJson
from monitor.cli.output import is_screen, print_json, tables
from monitor.demo.faults import Fault

_QUICK_RATE = 250.0
"""Outputs per second with --quick: what two cores measure without falling behind."""
_QUICK_HEALTHY_S = 8.0
"""Seconds before the fault with --quick: about 2,000 outputs, of which the reference is learned."""


@with_optional_connection
def command(
    connection: Connection,
    fault: Annotated[Fault, typer.Option("--fault", help="What goes wrong.")] = Fault.SILENT_UPDATE,
    rate: Annotated[float, typer.Option(min=10, max=2000, metavar="N", help="Outputs per second on average.")] = 150.0,
    duration: Annotated[
        float, typer.Option(min=20, metavar="SECONDS", help="Stop when no alert has come by then.")
    ] = 115.0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the random texts.")] = 7,
    quick: Annotated[bool, typer.Option("--quick", help="More outputs per second and an earlier fault.")] = False,
    judged: Annotated[
        bool,
        typer.Option(
            "--judged",
            help="With a scripted evaluator, which judges answers before and after the change: does it matter?",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Show a support assistant that goes wrong without an error, and the alert of the monitor.

    Starts a broker in memory (or uses --broker, with topics that only the demo uses), a worker with default settings
    and two objectives for the answers, and a simulated application. Exit code 0 when the alert came (with
    --fault none: when none came), 1 otherwise.
    """
    from dataclasses import replace

    from monitor.demo.run import Plan, run_demo
    from monitor.demo.screen import Lines, Screen, Silent, Terminal
    from monitor.settings import Settings

    plan = Plan(fault=fault, rate=rate, duration_s=duration, seed=seed, judged=judged)
    if quick:
        plan = replace(plan, rate=_QUICK_RATE, healthy_s=_QUICK_HEALTHY_S)
    broker = connection.over(Settings()).broker if connection.broker else None
    console = tables()
    screen: Screen = Silent() if json else Terminal(console) if is_screen(console) else Lines(console)
    outcome = run_demo(plan, screen, broker)
    if json:
        print_json(outcome.record())
    else:
        for line in outcome.metrics:
            console.print(line, style="dim", markup=False, soft_wrap=True)
        console.print(outcome.summary(), soft_wrap=True)
    raise typer.Exit(0 if outcome.as_hoped else 1)
