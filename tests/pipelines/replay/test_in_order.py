from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigError, InvalidEvent
from monitor.events.files.notes import FileNotes
from monitor.events.times import LATEST
from pipelines.replay.in_order import implausible, read_in_order

T = 1.79e9


def write(path: Path, *rows: Any) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps({"output": "x", **row})) + "\n" for row in rows)
    )
    return path


def row(stream: str, identity: str, time: float | None) -> dict[str, Any]:
    return {"stream": stream, "id": identity, "time": time}


def read(*paths: Path, limit: int | None = None) -> tuple[list[str], list[str]]:
    notes = FileNotes()
    records = read_in_order(paths, limit=limit, notes=notes)
    return [r.reason if isinstance(r, InvalidEvent) else f"{r.id}" for r in records], list(notes)


def test_each_stream_is_in_the_order_of_its_times_and_files_are_merged(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", row("a", "a3", T + 3), row("a", "a1", T + 1), row("b", "b2", T + 2), "{")
    two = write(tmp_path / "2.jsonl", row("c", "c0", T), row("c", "c9", T + 9))
    ids, notes = read(one, two)
    assert [i for i in ids if i != "not_json"] == ["c0", "a1", "b2", "a3", "c9"]
    assert ids.count("not_json") == 1
    assert notes == ["1.jsonl, 2.jsonl: the rows of stream 'a' were sorted by their times; out of order were (1 row)"]


def test_the_order_of_files_of_other_streams_changes_nothing(tmp_path: Path) -> None:
    one = write(tmp_path / "z.jsonl", row("a", "a1", T), row("a", "a2", None), row("a", "a3", T))
    two = write(tmp_path / "y.jsonl", row("b", "b1", None), row("b", "b2", None))
    three = write(tmp_path / "x.jsonl", row("c", "c1", T), row("c", "c2", T))
    assert read(one, two, three) == read(three, two, one) == read(two, three, one)


def test_rows_without_a_time_stay_behind_those_they_follow(tmp_path: Path) -> None:
    rows = [row("a", "1", None), row("a", "2", T + 9), row("a", "3", None), row("a", "4", T), row("a", "5", None)]
    assert read(write(tmp_path / "a.jsonl", *rows))[0] == ["4", "5", "1", "2", "3"]


def test_without_times_the_order_of_files_and_lines_is_the_order(tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", row("a", "1", None), row("a", "2", None))
    new = write(tmp_path / "new.jsonl", row("a", "3", None))
    assert read(old, new) == (["1", "2", "3"], [])
    assert read(new, old)[0] == ["3", "1", "2"]


def test_a_limit_counts_records_in_the_order_of_files(tmp_path: Path) -> None:
    one = write(tmp_path / "1.jsonl", row("a", "2", T + 2), "{", row("a", "1", T + 1))
    two = write(tmp_path / "2.jsonl", row("a", "0", T))
    assert read(one, two, limit=2)[0] == ["2", "not_json"]
    assert sorted(read(one, two, limit=3)[0]) == ["1", "2", "not_json"]
    assert len(read(one, two, limit=9)[0]) == 4


def test_a_file_that_has_changed_meanwhile_is_said(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"

    class Shrinks(FileNotes):
        def add(self, *_: Any, **__: Any) -> None:
            write(path, row("a", "0", T))

    write(path, row("a", "1", T + 1), row("a", "0", T))
    with pytest.raises(ConfigError, match="changed while it was read"):
        list(read_in_order([path], notes=Shrinks()))


def test_a_pipe_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no regular file"):
        list(read_in_order([path]))


@pytest.mark.parametrize("wrong", [0.0, -1.0, -62135596800.0, 9e8 - 3e8, LATEST, 253402300800.0])
def test_what_a_default_or_a_zero_leaves_is_implausible(wrong: float) -> None:
    times = T + np.arange(20.0)
    times[3] = wrong
    assert implausible(times).tolist() == [k == 3 for k in range(20)]


def test_most_times_may_be_missing_so(tmp_path: Path) -> None:
    times = np.array([0.0] * 8 + [T, T + 1])
    assert implausible(times).tolist() == [True] * 8 + [False] * 2


@pytest.mark.parametrize("away", [-7 * 86_400.0, -3.2e7, 3.2e7])
def test_a_lone_time_far_from_the_rest_is_implausible(away: float) -> None:
    times = T + 10.0 * np.arange(1000)
    times[0] += away
    assert implausible(times).tolist() == [k == 0 for k in range(1000)]


@pytest.mark.parametrize(
    "times",
    [
        10.0 * np.arange(1000),  # seconds since the file began
        T + 604_800.0 * np.arange(30),
        np.concatenate([T + 10.0 * np.arange(1000), T + 3 * 86_400 + 10.0 * np.arange(8)]),  # back after an outage
        np.concatenate([T + np.arange(500.0), T + 1e7 + np.arange(500.0)]),
        np.array([T, T + 1e7]),
        np.full(5, math.nan),
        np.empty(0),
    ],
)
def test_real_traffic_is_left_as_it_is(times: np.ndarray[Any, Any]) -> None:
    assert not implausible(times).any()


@given(st.lists(st.one_of(st.just(math.nan), st.floats(-1e12, 1e12)), max_size=40))
def test_what_is_left_lies_in_this_century_or_wholly_before_it(times: list[float]) -> None:
    given = np.asarray(times, dtype=np.float64)
    left = given[~implausible(given)]
    left = left[np.isfinite(left)]
    assert (left < LATEST).all()
    assert (left >= 0).all()


def test_a_missing_file_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        list(read_in_order([tmp_path / "gone.jsonl"]))
