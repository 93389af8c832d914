"""`oqm token`: what is made, what is refused, what is listed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from monitor.ledger.open import open_ledger
from tests.cli.run_oqm import json_lines, one_line_of_error, oqm

BOT = ("bot", "--scope", "gate", "--scope", "act", "--app", "shop")


def test_a_token_from_its_making_to_its_end(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    made = oqm("token", "create", *BOT, "--ledger", ledger)
    secret = made.stdout.strip()  # alone on stdout: SECRET=$(oqm token create ...)
    assert made.returncode == 0
    assert "not shown again" in made.stderr
    assert secret not in made.stderr
    opened = open_ledger(str(ledger))
    token = opened.token_find(secret, time.time())
    assert token is not None
    assert (set(token.scopes), token.app, token.person) == ({"gate", "act"}, "shop", "")
    assert token.expires_at is not None
    assert 89 < (token.expires_at - time.time()) / 86_400 < 90
    assert oqm("token", "revoke", "bot", "--ledger", ledger).returncode == 0
    assert opened.token_find(secret, time.time()) is None
    opened.close()
    (listed,) = json_lines(oqm("token", "list", "--json", "--ledger", ledger).stdout)
    assert (listed["name"], listed["valid"]) == ("bot", False)
    assert secret not in str(listed)
    assert secret.encode() not in b"".join(file.read_bytes() for file in ledger.iterdir())
    table = oqm("token", "list", "--ledger", ledger, COLUMNS="60").stdout
    assert "revoked" in table
    assert all(len(line) <= 60 for line in table.splitlines())
    assert oqm("token", "revoke", "nobody", "--ledger", ledger).returncode == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("x", "--scope", "act", "--scope", "approve", "--person", "ann"), "make two tokens"),
        (("x", "--scope", "approve"), "--person"),
        (("x", "--scope", "act", "--app", "*"), "--app APP"),
        (("x", "--scope", "read", "--expires", "soon"), "--expires soon"),
        (("x", "--scope", "read", "--expires", "0d"), "above 0"),
        (("a\nb", "--scope", "read"), "name"),
        (BOT, "bot"),
    ],
)
def test_what_no_token_may_be_is_refused_in_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    oqm("token", "create", *BOT, "--ledger", tmp_path)
    assert said in one_line_of_error(oqm("token", "create", *options, "--ledger", tmp_path))


def test_without_a_ledger_the_command_says_how_to_name_one() -> None:
    assert "--ledger" in one_line_of_error(oqm("token", "list"))
    assert "--ledger" in one_line_of_error(oqm("serve"))
