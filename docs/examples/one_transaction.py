"""Exactly one effect, second way: the effect and its key are written in one transaction of the application's database.

A process may die at any moment: either both are there or neither, so a retry sees what was done.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/one_transaction.py
"""

from __future__ import annotations

import os
import sqlite3

from monitor.gate import Gate

TABLES = """
create table if not exists booking (room text, day text);
create table if not exists carried_out (key text primary key, result text not null);
"""


def book(database: sqlite3.Connection, key: str, room: str, day: str) -> str:
    """Book a room, once for a key."""
    with database:  # one transaction: begin, then commit, or roll back when it raises
        done = database.execute("select result from carried_out where key = ?", (key,)).fetchone()
        if done is not None:
            return str(done[0])
        result = f"{room} is booked for {day}"
        # The primary key makes two that come here at the same time one: the second one is rolled back.
        database.execute("insert into carried_out values (?, ?)", (key, result))
        database.execute("insert into booking values (?, ?)", (room, day))
        return result


def main(gate: Gate, database: sqlite3.Connection | None = None, lose: int = 1) -> None:
    """Book a room, and lose the answer of the first `lose` attempts."""
    database = sqlite3.connect(":memory:") if database is None else database
    database.executescript(TABLES)
    lost = iter(range(lose))

    @gate.action("booking", key="booking:{guest}:{day}", fields=["room", "day"])
    def reserve(guest: str, room: str, day: str, *, idempotency_key: str) -> str:
        result = book(database, idempotency_key, room, day)
        if next(lost, None) is not None:
            raise TimeoutError("the answer was lost")
        return result

    for _ in range(lose + 1):
        try:
            print(reserve("anna", "room 12", "2026-03-02"))
        except TimeoutError as error:
            print(f"unknown: {error}")
    print("bookings:", database.execute("select count(*) from booking").fetchone()[0])


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
