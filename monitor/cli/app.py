"""The `oqm` program: its commands, and how it ends.

Exit codes: 0 done; 1 the answer is "no" (`--fail-on-finding` found something, the demo's alert did not come, there is
no such output); 2 wrong input, configuration or broker, said in one line on stderr; 3 nothing could be judged, or a
stream could not; 130 interrupted; 141 the reader of a pipe left.
"""

from __future__ import annotations

import sys

import typer

from monitor.cli import (
    alert,
    anchors,
    audit,
    cascade,
    check,
    check_config,
    compare,
    deadletter,
    demo,
    events,
    features,
    publish,
    quality,
    reference,
    replay,
    review,
    schema,
    serve,
    streams,
    token,
    topics,
    trace,
    version,
    worker,
)
from monitor.cli.output import leave_quietly
from monitor.errors import OqmError

EXIT_ERROR = 2
"""Wrong input, configuration or broker, as of any command."""
EXIT_INTERRUPTED = 130  # 128 + SIGINT


def build_app() -> typer.Typer:
    """The command tree."""
    app = typer.Typer(
        name="oqm",
        help="Output quality monitor: reports what changed in the outputs of an AI system, since when, and why.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(version.option)
    app.command("demo")(demo.command)
    app.command("worker")(worker.command)
    app.command("serve")(serve.command)
    app.command("replay")(replay.command)
    app.command("features")(features.command)
    app.command("compare")(compare.command)
    app.command("check")(check.command)
    app.command("publish")(publish.command)
    app.command("topics")(topics.command)
    app.command("events")(events.command)
    app.command("quality")(quality.command)
    app.command("trace")(trace.command)
    app.command("search")(trace.search)
    app.command("cascade")(cascade.command)
    app.command("schema")(schema.command)
    app.command("check-config")(check_config.command)
    app.command("version")(version.command)
    app.add_typer(alert.group(), name="alert")
    app.add_typer(anchors.group(), name="anchors")
    app.add_typer(token.group(), name="token")
    app.add_typer(audit.group(), name="audit")
    app.add_typer(reference.group(), name="reference")
    app.add_typer(events.group(), name="event")
    app.add_typer(deadletter.group(), name="deadletter")
    app.add_typer(streams.group(), name="streams")
    app.add_typer(review.group(), name="review")
    return app


def main() -> None:
    """Entry point of the console script: run a command; errors of this project become one line and exit code 2."""
    try:
        build_app()()
    except OqmError as error:
        _last_words(str(error))
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit:
        # What is still buffered meets the closed pipe only now, at the end.
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            leave_quietly()
        raise


def _last_words(message: str) -> None:
    # Configuration errors have a line for each mistake; everything else is one line.
    for line in message.splitlines():
        if line.strip():
            sys.stderr.write(f"oqm: {line.strip()}\n")
