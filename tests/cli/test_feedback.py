"""What users say of outputs, in `oqm quality` and `oqm trace`, over a store written from records of the log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from monitor.events.schema import OutputEvent
from monitor.judgment.records import Feedback, encode_record
from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from monitor.store.records import Place
from pipelines.store.rows import RowMaker
from tests.cli.run_oqm import json_lines, oqm
from tests.store.judged_stream import TOPICS, Message


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thumbs on twenty outputs, two of them down; on one of them a rating and a correction, and two in the middle."""
    folder = tmp_path_factory.mktemp("store") / "traces"
    now = time.time()
    said: list[dict[str, Any]] = [{"event": f"e{k}", "value": k > 1, "stream": "support"} for k in range(20)]
    said += [
        {"event": "e0", "kind": "rating", "value": 2.0, "scale": (1.0, 5.0), "text": "too late", "by": "u7"},
        {"event": "e0", "kind": "correction", "text": "It comes on Monday."},
        {"event": "e1", "kind": "rating", "value": 3.0, "scale": (1.0, 5.0), "stream": "support"},
    ]
    values = [encode_record(Feedback(**{"time": now - 60 + k, **one})) for k, one in enumerate(said)]
    messages = [(TOPICS.feedback.name, Message(0, k, value, int(now * 1000))) for k, value in enumerate(values)]
    incoming = RowMaker(TOPICS, Privacy()).rows(messages)
    event = OutputEvent(id="e0", stream="support", time=now, output="Soon.", input="When?")
    incoming.add_outputs([(event, Place(TOPICS.outputs.id, 0, 8, now))], Privacy())
    store = open_store(str(folder))
    store.write(incoming)
    store.close()
    return folder


def test_the_share_of_content_users_is_shown_with_what_it_does_not_say(traces: Path) -> None:
    done = oqm("quality", "--store", traces, COLUMNS="100")
    assert done.returncode == 0, done
    words = " ".join(done.stdout.split())
    for part in ("feedback_thumb", "90.0 %", "feedback_rating", "Who answers chooses to", "chance alone"):
        assert part in words, words
    assert "no person has looked" not in words
    narrow = oqm("quality", "--store", traces, COLUMNS="60").stdout
    assert max(map(len, narrow.splitlines())) <= 60
    assert "20 users said so" in " ".join(narrow.split())


def test_as_json_it_names_how_it_is_known(traces: Path) -> None:
    found = {one["criterion"]: one for one in json_lines(oqm("quality", "--json", "--store", traces).stdout)}
    thumb = found["feedback_thumb"]
    assert (thumb["method"], thumb["judged"], thumb["people"], thumb["rate"]) == ("feedback", 20, 20, 0.9)
    assert thumb["low"] < 0.9 < thumb["high"]
    assert thumb["sampled_share"] is None
    rating = found["feedback_rating"]
    assert (rating["judged"], rating["missing"]) == (1, 1)
    only = json_lines(oqm("quality", "--json", "--criterion", "feedback_thumb", "--store", traces).stdout)
    assert [one["criterion"] for one in only] == ["feedback_thumb"]


def test_a_trace_shows_what_was_said_of_the_output(traces: Path) -> None:
    done = oqm("trace", "e0", "--store", traces)
    assert done.returncode == 0, done
    words = " ".join(done.stdout.split())
    for part in (
        "thumb: down",
        "rating: 2 of 1 to 5 by u7",
        "too late",
        "correction: corrected",
        "It comes on Monday.",
    ):
        assert part in words, words
    (record,) = json_lines(oqm("trace", "e0", "--json", "--store", traces).stdout)
    assert [one["kind"] for one in record["feedback"]] == ["thumb", "rating", "correction"]
