"""`oqm cascade` as a person meets it: what followed, what can be undone, and the question before it is."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from monitor.ledger.open import open_ledger
from monitor.store.open import open_store
from tests.cascade.chain import ALERT, fill
from tests.cli.run_oqm import json_lines, oqm


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces"
    store, ledger = open_store(str(folder)), open_ledger(str(folder))
    fill(store, ledger)
    ledger.close()
    store.close()
    return folder


def test_what_followed_is_said_first_and_then_listed(traces: Path) -> None:
    shown = oqm("cascade", "flagged", "--store", traces)
    assert shown.returncode == 0, shown.stderr
    first, second, *_ = shown.stdout.splitlines()
    assert first == "output flagged in support/triage, 2024-10-04 12:00:10 UTC"
    assert second == "From it followed 2 outputs in 2 streams and 5 actions, 3 steps on at most."
    assert "can be undone: --undo" in shown.stdout
    assert "cannot be undone: no undo was registered" in shown.stdout
    assert "crm/summary" in shown.stdout
    finding = oqm("cascade", ALERT, "--store", traces).stdout
    assert "Answers are longer" in finding.splitlines()[0]
    assert "From 2 outputs followed 2 outputs in 2 streams and 5 actions" in finding
    (record,) = json_lines(oqm("cascade", "flagged", "--store", traces, "--json").stdout)
    assert (record["outputs"], record["actions"], record["circle"]) == (2, 5, [])
    nothing = oqm("cascade", "elsewhere", "--store", traces).stdout
    assert "From it nothing is known to have followed." in nothing


@pytest.mark.parametrize("columns", ["60", "200"])
def test_it_fits_the_terminal_and_has_every_id(traces: Path, columns: str) -> None:
    shown = oqm("cascade", "flagged", "--store", traces, COLUMNS=columns).stdout
    assert all(f"{kind}-1" in shown for kind in ("draft", "email", "record", "money", "ticket"))
    short = oqm("cascade", "flagged", "--store", traces, "--limit", "1").stdout
    assert "and 4 more actions: --limit N, or --json for all" in short


def test_nothing_is_undone_without_an_answer(traces: Path) -> None:
    asked = run(traces, "--undo", answer="")
    assert asked.returncode == 2
    assert "1 action would be undone: nobody can be asked here, so say --yes" in asked.stderr
    refused = run(traces, "--undo", answer="n\n")
    assert refused.returncode == 1
    assert "To be undone, by ada: 1 record. Go on?" in refused.stderr
    assert state(traces, "undo:record-1") is None
    undone = run(traces, "--undo", "--reject", answer="y\ny\n")
    assert undone.returncode == 0, undone.stderr
    assert "entered: 1 undo action, from undo:record-1 on" in undone.stderr
    assert "rejected, for good: 2 actions" in undone.stderr
    assert (state(traces, "undo:record-1"), state(traces, "money-1")) == ("allowed", "rejected")
    again = run(traces, "--undo", "--yes", answer="")
    assert (again.returncode, again.stderr.strip()) == (0, "there is nothing that can be undone")


def test_without_a_ledger_nothing_is_said_of_actions(traces: Path) -> None:
    for file in traces.glob("ledger*"):
        file.unlink()
    shown = oqm("cascade", "flagged", "--store", traces)
    assert shown.returncode == 0
    assert "actions are not known" in shown.stderr
    assert "From it followed 1 output in 1 stream, 1 step on at most." in shown.stdout
    assert not list(traces.glob("ledger*"))


def test_what_cannot_be_is_said(traces: Path, tmp_path: Path) -> None:
    unknown = oqm("cascade", "nothing", "--store", traces)
    assert unknown.returncode == 1
    assert "no output and no finding with the id nothing" in unknown.stderr
    assert oqm("cascade", "flagged").returncode == 2
    assert oqm("cascade", "flagged", "--store", traces, "--ledger", tmp_path / "other").returncode == 2
    assert oqm("cascade", "flagged", "--store", traces, "--limit", "-1").returncode == 2


def run(traces: Path, *options: str, answer: str) -> subprocess.CompletedProcess[str]:
    with mock.patch.object(sys, "stdin", io.StringIO(answer)):
        return oqm("cascade", "flagged", "--store", traces, "--by", "ada", *options)


def state(traces: Path, key: str) -> str | None:
    ledger = open_ledger(str(traces), read_only=True)
    try:
        found = [one for one in ledger.list(limit=100) if one.key == key]
        return found[0].state.value if found else None
    finally:
        ledger.close()
