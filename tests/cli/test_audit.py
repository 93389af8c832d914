"""`oqm audit`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from monitor.ledger.open import open_ledger
from tests.cli.run_oqm import json_lines, oqm
from tests.ledger.made import NOW, claim_of, proposal


@pytest.fixture
def folder(tmp_path: Path) -> str:
    ledger = open_ledger(str(tmp_path / "ledger"))
    ledger.propose(proposal("[red]order-1[/red]"), NOW)
    ledger.claim(claim_of(proposal("[red]order-1[/red]")), NOW)
    ledger.close()
    return str(tmp_path / "ledger")


def test_a_log_that_is_right(folder: str) -> None:
    done = oqm("audit", "verify", "--ledger", folder)
    assert done.returncode == 0
    assert done.stdout.startswith("2 entries, all right. Head: 2:")
    head = done.stdout.split()[-1]
    assert oqm("audit", "verify", "--ledger", folder, "--head", head).returncode == 0
    (found,) = json_lines(oqm("audit", "verify", "--ledger", folder, "--json").stdout)
    assert found == {"ok": True, "entries": 2, "head": head[2:], "broken": None}


def test_an_entry_that_was_noted_and_is_another_now(folder: str) -> None:
    done = oqm("audit", "verify", "--ledger", folder, "--head", f"1:{'a' * 64}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Entry 1 of 2 is missing, was changed" in done.stderr
    assert oqm("audit", "verify", "--ledger", folder, "--head", f"9:{'a' * 64}").returncode == 1


def test_a_row_that_was_changed_past_the_ledger(folder: str) -> None:
    with sqlite3.connect(f"{folder}/ledger.sqlite") as connection:
        connection.execute("update action set fence = 7")
    connection.close()
    done = oqm("audit", "verify", "--ledger", folder, "--json")
    assert done.returncode == 1
    assert [found["broken"] for found in json_lines(done.stdout)] == [2]


def test_entries_are_listed_as_text(folder: str) -> None:
    shown = oqm("audit", "list", "--ledger", folder).stdout
    assert "action:shop/[red]order-1[/red]" in shown
    entries = json_lines(oqm("audit", "list", "--ledger", folder, "--json", "--after", "1").stdout)
    assert [(entry["seq"], entry["what"]) for entry in entries] == [(2, "claimed")]


@pytest.mark.parametrize("head", ["x", "0:" + "a" * 64, "1:abc", "-1:" + "a" * 64])
def test_a_head_that_is_none_is_refused(folder: str, head: str) -> None:
    done = oqm("audit", "verify", "--ledger", folder, f"--head={head}")
    assert done.returncode == 2
    assert "SEQ:HASH" in done.stderr
