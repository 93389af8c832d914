"""How results look: the width of the terminal, a pipe, colours; names and ids are whole everywhere."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.responses import OperatorResponse
from monitor.alerting.rendering.samples import SPECS, sample_finding
from monitor.cli.alert import _table
from monitor.cli.findings_table import findings_table, full_alerts
from monitor.cli.fitted_table import READABLE_COLUMNS, FittedTable
from monitor.detection.records.finding import FeatureChange, Finding, Severity, State
from monitor.settings import Settings
from pipelines.stages.notify.alert_log import Entry
from tests.cli.run_oqm import oqm, oqm_process

LONG_STREAM = "support-bot/answers-to-customers-of-the-northern-region"
LONG_FEATURE = "call.dependency.duration_s[customer-identity-provider.eu-central-1]"


def finding() -> Finding:
    sample = sample_finding(stream=LONG_STREAM)
    features = [*sample.features, FeatureChange(LONG_FEATURE, 0.07, 0.95, 12.0)]
    return msgspec.structs.replace(sample, features=features)


def printed(what: object, columns: int) -> str:
    out = io.StringIO()
    Console(file=out, width=columns, highlight=False).print(what, soft_wrap=True)
    return out.getvalue()


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 120, 200])
def test_findings_fit_the_width_and_the_streams_name_is_whole(columns: int) -> None:
    shown = printed(findings_table([finding()]), columns)
    assert max(map(len, shown.splitlines())) <= columns
    if columns >= len(LONG_STREAM) + 14:
        assert LONG_STREAM in shown
    # The column that says what changed is never a stack of single words.
    assert re.search(r"\w+ \w+ \w+ \w+", shown.split("what changed")[1])


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_whole_alert_fits_the_width_and_names_are_whole(columns: int) -> None:
    [alert] = full_alerts([finding()], Settings(), SPECS.values())
    shown = printed(alert, columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert {LONG_STREAM, LONG_FEATURE, "evt-1190", finding().id} <= set(re.findall(r"\S+", shown))
    assert "What to do now" in shown
    assert "Before the change" in shown


def test_what_was_measured_again_is_shown_with_its_newest_figures() -> None:
    first = finding()
    again = msgspec.structs.replace(first, revision=1, measured_events=200, title="refined")
    resolved = msgspec.structs.replace(sample_finding(State.RESOLVED, stream=LONG_STREAM), id=first.id)
    alerts = list(full_alerts([first, again, resolved], Settings(), SPECS.values()))
    shown = [printed(alert, 100) for alert in alerts]
    assert len(shown) == 2
    assert "measured again on 200 events" in shown[0]
    assert shown[0].splitlines()[1].startswith("FIRING warning")
    assert shown[1].splitlines()[1].startswith("RESOLVED")


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_ids_of_alerts_are_whole(columns: int) -> None:
    alert = from_finding(finding(), specs=SPECS)
    entries = [Entry(alert, 0, OperatorResponse(), None, False)]
    shown = printed(_table(entries, "alerts fire", 1.7e9), columns)
    assert alert.fingerprint in shown
    assert max(map(len, shown.splitlines())) <= columns


def test_a_table_becomes_blocks_only_where_a_name_would_not_be_whole() -> None:
    table = FittedTable("id", "what", prose=("what",), title="2 things", caption=Text("and a note"))
    table.add_row("0123456789abcdef", "some words " * 9)
    table.add_row("[bold]", "")
    needed = 1 + 16 + 3 + READABLE_COLUMNS + 3
    assert "┃ id" in printed(table, needed)
    narrow = printed(table, needed - 1)
    assert "┃" not in narrow
    assert "id    0123456789abcdef" in narrow
    assert "[bold]" in narrow
    assert narrow.startswith("2 things")
    assert "and a note" in narrow
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        table.add_row("x")


def test_a_row_has_all_its_cells() -> None:
    assert "┃ id" in printed(FittedTable("id"), 20)


# A terminal, or something that is none


def features_file(folder: Path) -> Path:
    path = folder / "answers.jsonl"
    path.write_text('{"output": "One answer, and another."}\n' * 30)
    return path


def in_terminal(columns: int, *arguments: str | Path, **environment: str) -> str:
    """What `oqm` prints on a terminal of this width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "monitor.cli", *map(str, arguments)]
    running = subprocess.Popen(
        command, stdout=slave, stderr=subprocess.DEVNULL, env=inherited | {"TERM": "xterm"} | environment
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:  # Linux reports the end of a terminal as an error of I/O
            break
        if not part:
            break
        parts.append(part)
    assert running.wait(timeout=60) == 0
    os.close(master)
    return b"".join(parts).decode()


def test_a_terminal_gets_its_width_and_colours_a_pipe_whole_lines_without(tmp_path: Path) -> None:
    path = features_file(tmp_path)
    narrow = in_terminal(80, "features", path)
    assert "\x1b[" in narrow
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in narrow.splitlines()) <= 80
    assert "output.length.sentences" in narrow
    assert "\x1b[" not in in_terminal(80, "features", path, NO_COLOR="1").replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    ).replace("\x1b[3m", "").replace("\x1b[2m", ""), "bold and italics are no colours"
    piped = oqm("features", path)
    assert "\x1b" not in piped.stdout
    [line] = [line for line in piped.stdout.splitlines() if "output.length.sentences" in line]
    assert "sentences in the output" in line
    assert max(map(len, oqm("features", path, COLUMNS="90").stdout.splitlines())) <= 90


def test_forced_colours_make_a_pipe_no_screen(tmp_path: Path) -> None:
    done = oqm_process("features", features_file(tmp_path), FORCE_COLOR="1")
    assert done.returncode == 0
    assert "\x1b[" in done.stdout
    assert "features" not in done.stderr, "no progress bar in a log"


def test_colours_follow_severity() -> None:
    colours = {Severity.CRITICAL: "31", Severity.WARNING: "33", Severity.INFO: "34"}
    for severity, code in colours.items():
        of_severity = msgspec.structs.replace(finding(), severity=severity)
        out = io.StringIO()
        console = Console(file=out, width=100, force_terminal=True, color_system="standard")
        console.print(*full_alerts([of_severity], Settings(), SPECS.values()), soft_wrap=True)
        first, head = out.getvalue().splitlines()[:2]
        assert re.match(rf"\x1b\[(1;)?{code}m", first)
        assert severity.value in head
        table = io.StringIO()
        Console(file=table, width=200, force_terminal=True, color_system="standard").print(
            findings_table([of_severity])
        )
        assert re.search(rf"\x1b\[(1;)?{code}mfiring", table.getvalue())


def test_full_is_for_people(tmp_path: Path) -> None:
    path = features_file(tmp_path)
    for other in ("--json", "--what-if"):
        refused = oqm("replay", path, "--full", other)
        assert refused.returncode == 2
        assert "--full shows findings as text" in refused.stderr
