"""`monitor.replay`, `compare` and `Watch`: what a notebook gives them, what they show, and what they refuse."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import monitor
from monitor import OutputEvent
from monitor.errors import ConfigError
from monitor.notebook import Replay

TEXT = "the answer depends on your plan and region so open settings choose billing then confirm with the code"
WORDS = TEXT.split()


def answer(number: int, *, long: bool) -> str:
    rng = random.Random(number)
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(60, 90) if long else rng.randint(8, 20))).capitalize()


def frame(count: int = 800, change: int = 500) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.date_range("2026-11-30", periods=count, freq="min", tz="UTC"),
            "answer": [answer(n, long=n >= change) for n in range(count)],
            "rating": [np.nan if n % 3 else 4.0 for n in range(count)],
        }
    )


COLUMNS = {"output": "answer"}


@pytest.fixture(scope="module")
def found() -> Replay:
    return monitor.replay(frame(), columns=COLUMNS, stream="help")


def test_a_frame_is_watched_and_shows_itself(found: Replay) -> None:
    (firing,) = found.firing
    assert firing.stream == "help"
    assert 480 <= firing.began_at.index <= 505  # type: ignore[union-attr]
    assert found.line.startswith("800 events in 1 stream, judged from event 201 on: ")
    table = found.to_frame()
    assert table["state"].iloc[0] == "firing"
    assert firing.title in found._repr_html_().replace("&gt;", ">").replace("&#x27;", "'")
    assert repr(found).endswith(found.line)


def test_a_plot_shows_evidence_and_distributions(found: Replay, tmp_path: Path) -> None:
    figure = found.plot()
    assert len(figure.axes) >= 2
    figure.savefig(tmp_path / "finding.png")
    assert (tmp_path / "finding.png").stat().st_size > 10_000
    with pytest.raises(ConfigError, match="there are 1 firing"):
        found.plot(5)


@pytest.mark.parametrize("form", ["dicts", "texts", "events", "file"])
def test_the_same_outputs_in_other_forms_say_the_same(form: str, found: Replay, tmp_path: Path) -> None:
    texts = list(frame()["answer"])
    data: Any = texts
    if form == "dicts":
        data = [{"output": text} for text in texts]
    elif form == "events":
        data = [OutputEvent(stream="notebook", output=text) for text in texts]
    elif form == "file":
        data = tmp_path / "notebook.csv"
        frame()[["answer"]].to_csv(data, index=False)
    again = monitor.replay(data, columns=COLUMNS if form == "file" else None)
    assert [one.raised_at.index for one in again.firing] == [one.raised_at.index for one in found.firing]
    assert "800 events" in again.line


def test_a_cell_that_runs_twice_is_counted_as_duplicates() -> None:
    watch = monitor.Watch(stream="help", columns=COLUMNS)
    first = watch.feed(frame(300, 300))
    again = watch.feed(frame(300, 300))
    assert "300 events in 1 stream, judged" in first.line
    assert "300 events in 1 stream (300 duplicates), judged" in again.line
    assert len(again) == 0
    assert watch.feed(frame()[300:]).firing


def test_alike_outputs_without_ids_are_outputs_of_their_own() -> None:
    assert "250 events" in monitor.replay(["Yes."] * 250).line


def test_nothing_is_judged_with_too_few_outputs() -> None:
    few = monitor.replay(["Yes."] * 20)
    assert "cannot tell whether anything changed" in few.line
    assert "<table>" not in few._repr_html_()
    with pytest.raises(ConfigError, match="nothing fired"):
        few.plot()


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (3, {}, "cannot read int: give a file's path, a DataFrame"),
        ({"output": "a"}, {}, "cannot read dict"),
        ([], {}, "the data holds no outputs: give at least one row with an `output`"),
        ([3], {}, "row 1 is a int: each must be"),
        ([{"question": "a"}], {}, 'row 1: no `output`; name its column: columns={"output": "..."}'),
        ("absent.jsonl", {}, "absent.jsonl: "),
        (["a"], {"settings": {"detection": {"warmup": 3}}}, "settings: detection.warmup: must be >="),
        (["a"], {"settings": {"detektion": {}}}, "did you mean `detection`"),
    ],
)
def test_a_mistake_gets_one_clear_error(data: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        monitor.replay(data, **options)
    assert said in str(raised.value)
    assert "rows.jsonl" not in str(raised.value)


def test_unreadable_rows_are_counted() -> None:
    rows: list[dict[str, Any]] = [{"output": "Yes."}] * 10 + [{"output": None, "stream": "notebook"}]
    found = monitor.replay(rows)
    assert "1 row skipped" in found.line
    assert any("rows skipped: " in note for note in found.notes)


def test_what_was_measured_again_is_one_finding() -> None:
    found = monitor.replay([answer(n, long=n >= 400) for n in range(800)])
    assert any(one.is_update for one in found)
    assert len(found.firing) == len(found.to_frame()) == 1
    assert "1 finding (1 firing)" in found.line
    newest = [one for one in found if one.is_update][-1]
    again = f"on {newest.measured_events:,} events, {newest.severity.value}: {newest.title}"
    assert found.to_frame()["measured again"].tolist() == [again]
    assert again in repr(found)
    assert repr(found).count("firing: ") == 1
    assert found._repr_html_().count("<tr>") == 2


def test_compare() -> None:
    short, long = [answer(n, long=False) for n in range(60)], [answer(n + 100, long=True) for n in range(60)]
    found = monitor.compare(short, long)
    assert "output.length.words" in set(found.to_frame()["feature"])
    assert "output.length.words" in found._repr_html_()
    assert len(found.to_frame(every=True)) > len(found.to_frame())
    with pytest.raises(ConfigError, match="cannot tell: 5 outputs before; 30 are needed"):
        monitor.compare(short[:5], long)
    with pytest.raises(ConfigError, match="after holds no outputs"):
        monitor.compare(short, [])
    two = [{"output": text, "stream": f"s{n % 2}"} for n, text in enumerate(short)]
    with pytest.raises(ConfigError, match=r"after holds outputs of 2 streams \(s0, s1\)"):
        monitor.compare(short, two)
