"""An alert for a terminal: the block of `plain_text`, coloured by its severity.

Used by the log sink where its output is a terminal, by the commands that show alerts and by the demo. Whether colours
reach the reader is up to the console that prints it (NO_COLOR, a pipe, TERM=dumb). May import `monitor.alerting` and
below.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions
from rich.text import Text

from monitor.alerting.alert import Alert
from monitor.alerting.rendering import plain_text
from monitor.detection.records.finding import Severity, State

SEVERITY_STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
"""As rich names them; the same colours as in mails, and in Slack where it has them."""
RESOLVED_STYLE = "green"
WIDEST_COLUMNS = 160
"""Widest block: the eye loses the next line of longer ones."""


def style_of(state: State, severity: Severity) -> str:
    """The style of what fires, by its severity; of what is over."""
    return RESOLVED_STYLE if state is State.RESOLVED else SEVERITY_STYLES[severity]


class AlertBlock:
    """The whole alert for a console of rich: its frame and heading coloured by severity, the titles of its parts bold.

    As wide as the console, up to `WIDEST_COLUMNS`; where nobody has a screen, as wide as in a log. To be printed with
    `soft_wrap=True`, so that a link longer than a line stays whole.
    """

    def __init__(self, alert: Alert) -> None:
        self._alert = alert

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Called by rich."""
        widest = WIDEST_COLUMNS if console.is_terminal else plain_text.COLUMNS
        columns = options.max_width if options.max_width <= WIDEST_COLUMNS else widest
        yield self._text(columns)

    def _text(self, columns: int) -> Text:
        style = style_of(self._alert.state, self._alert.severity)
        head = plain_text.heading(self._alert, columns)
        lines = plain_text.block(self._alert, columns).split("\n")
        shown = []
        for number, line in enumerate(lines):
            framed = number < len(head) or number == len(lines) - 1
            part = line in plain_text.PARTS or line.startswith(f"{plain_text.TABLE_TITLE} ")
            shown.append(Text(line, style=style if framed else "bold" if part else ""))
        return Text("\n").join(shown)
