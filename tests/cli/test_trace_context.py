"""What `oqm trace` shows beside an output: alerts of its time, and what was usual in the stream before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.alerting import alert as alerts
from monitor.alerting.alert import Alert
from monitor.alerting.rendering.samples import sample_alert
from monitor.cli.trace_reference import usual_of
from monitor.detection.records.finding import BeganAt, Examples, State
from monitor.events.schema import OutputEvent
from monitor.store.open import open_store
from monitor.store.privacy import FieldPolicy, Keep, Privacy
from monitor.store.records import Place
from pipelines.store.rows import RowMaker
from tests.cli.run_oqm import json_lines, oqm
from tests.store.judged_stream import NOON, TOPICS, Message

STREAM = "shop/[a*]"  # as a pattern it fits neither itself nor the next, which would fit `shop/*`
OTHER = "shop/a"
CHANGED = 60  # from this output on answers are long
DAY = 86_400.0


def output(number: int, stream: str = STREAM) -> OutputEvent:
    long = number >= CHANGED or stream == OTHER
    return OutputEvent(
        id=f"{'e' if stream == STREAM else 'o'}{number}",
        stream=stream,
        time=NOON + number,
        input="Where is my order?",
        output=("It comes on Monday. " * (30 if long else 2 + number % 3)).strip(),
    )


def alert(number: int, began: float, state: State = State.FIRING, ended: float | None = None, **changes: Any) -> Alert:
    made = msgspec.structs.replace(
        sample_alert(state, stream=STREAM, time=began),
        fingerprint=f"{number:016x}",
        title=f"title {number}",
        began_at=BeganAt(index=0, low=0, high=0, time=began),
        examples=Examples(before=[], after=[]),
        excerpts_before=[],
        excerpts_after=[],
    )
    if ended is not None and made.resolution is not None:
        changes["resolution"] = msgspec.structs.replace(made.resolution, time=ended)
    return msgspec.structs.replace(made, **changes)


def write(folder: Path, *found: Alert, read_until: float | None = NOON + 500.0, privacy: Privacy | None = None) -> Path:
    """A store with eighty outputs of two streams, and these alerts."""
    messages = [
        (TOPICS.alerts.name, Message(0, k, alerts.encode(one), int((NOON + 200) * 1000))) for k, one in enumerate(found)
    ]
    incoming = RowMaker(TOPICS, Privacy()).rows(messages)
    events = [output(number, stream) for number in range(80) for stream in (STREAM, OTHER)]
    placed = [(event, Place("t", 0, k, event.time or 0.0)) for k, event in enumerate(events)]
    incoming.add_outputs(placed, privacy or Privacy())
    if read_until is not None:
        incoming.alerts_read = {(TOPICS.alerts.id, 0): read_until}
    store = open_store(str(folder / "traces"))
    store.write(incoming)
    store.close()
    return folder / "traces"


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("store"),
        alert(1, NOON + CHANGED),
        alert(2, NOON + 5, State.RESOLVED, NOON + 8),
        alert(3, NOON + 20, examples=Examples(before=["e3"], after=[]), stream=f"~judged/{STREAM}/polite"),
        alert(4, NOON, stream=OTHER),
        alert(5, NOON + 10, State.INFO, examples=Examples(before=[], after=["e9"])),
    )


def record(traces: Path, event: str, *options: str) -> dict[str, Any]:
    (found,) = json_lines(oqm("trace", event, "--store", traces, "--json", *options).stdout)
    return found


def test_alerts_that_were_open_or_quote_the_output_stand_beside_it(traces: Path) -> None:
    def beside(event: str) -> list[tuple[int, bool, str | None]]:
        found = record(traces, event)["findings"]
        assert found["unknown"] is None
        return [(int(one["id"], 16), one["open_then"], one["quoted"]) for one in found["alerts"]]

    assert beside("e70") == [(1, True, None), (3, True, None)]
    assert beside("e5") == [(2, True, None)], "at its begin"
    assert beside("e8") == [(2, True, None)], "at its end"
    assert beside("e4") == []
    assert beside("e3") == [(3, False, "before")]
    assert beside("e9") == [(5, False, "after")]
    assert beside("o70") == [(4, True, None)]


def test_findings_are_lines_with_state_time_and_severity(traces: Path) -> None:
    shown = oqm("trace", "e70", "--store", traces).stdout
    assert "warning, firing since 2024-10-04 12:01:00 UTC: title 1" in shown
    assert f"in ~judged/{STREAM}/polite" in shown
    assert "warning, resolved, from 2024-10-04 12:00:05 UTC to 2024-10-04 12:00:08 UTC: title 2" in (
        oqm("trace", "e7", "--store", traces).stdout
    )
    before = oqm("trace", "e3", "--store", traces).stdout
    assert "quotes this output as one from before the change; it was not open at the output's time" in before
    assert "noted 2024-10-04 12:00:10 UTC: title 5" in oqm("trace", "e9", "--store", traces).stdout


@pytest.mark.parametrize(
    ("read_until", "why"),
    [
        (None, "no worker has read the topic of alerts into this store"),
        (0.0, "the topic of alerts is not read to its end yet"),
        (NOON + 2, "alerts are read up to 2024-10-04 12:00:02 UTC, and the output is later"),
    ],
)
def test_no_finding_is_told_apart_from_what_cannot_be_told(tmp_path: Path, read_until: float | None, why: str) -> None:
    traces = write(tmp_path, read_until=read_until)
    shown = oqm("trace", "e4", "--store", traces).stdout
    assert f"cannot tell whether an alert was open: {why}" in shown
    assert why in record(traces, "e4")["findings"]["unknown"]


def test_none_is_said_with_the_time_for_which_it_is_known(tmp_path: Path) -> None:
    shown = oqm("trace", "e4", "--store", write(tmp_path)).stdout
    assert "none: no alert of the stream was open at 2024-10-04 12:00:04 UTC" in shown
    assert "read up to 2024-10-04 12:08:20 UTC; those last reported before 2024-10-04 00:00:00 UTC are not" in shown


def test_an_alert_that_this_version_cannot_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    store = open_store(str(folder))
    incoming = RowMaker(TOPICS, Privacy()).rows([])
    incoming.alerts = [{"day": 20_000, "topic": "a", "partition": 0, "position": 1, "stream": STREAM, "alert": "x",
                        "body": "{}"}]  # fmt: skip
    store.write(incoming)
    store.close()
    assert (
        "alerts of the stream that are of another version and cannot be read: 1"
        in record(folder, "e4")["findings"]["unknown"]
    )


def test_features_stand_beside_the_outputs_of_the_stream_before_the_output(traces: Path) -> None:
    reference = record(traces, "e50", "--reference", "30")["reference"]
    # Alert 3 began after output 20, of which the outputs before are the reference of those since.
    assert (reference["outputs"], reference["alert"], reference["before"]) == (20, f"{3:016x}", NOON + 20)
    words = reference["features"]["output.length.words"]
    assert (words["median"], words["least"], words["most"], words.get("mark")) == (12.0, 8.0, 16.0, None)
    assert record(traces, "e70")["reference"]["features"]["output.length.words"]["mark"] == "above all"


def test_the_reference_is_of_this_stream_alone_and_bounded(tmp_path: Path) -> None:
    reference = record(write(tmp_path), "e50", "--reference", "30")["reference"]
    assert (reference["outputs"], reference["since"], reference["before"]) == (30, NOON + 20, NOON + 50)
    assert reference["features"]["output.length.words"]["most"] == 16.0, "the other stream's have 120"
    assert "reference" not in record(tmp_path / "traces", "e50", "--reference", "0")


def test_the_table_marks_what_is_outside_first_and_fits_the_terminal(traces: Path) -> None:
    wide = oqm("trace", "e70", "--store", traces, COLUMNS="160").stdout
    assert f"beside 20 outputs of the stream from before alert {3:016x} began" in wide
    rows = [line for line in wide.splitlines() if line.startswith("│")]
    assert "above all" in rows[0]
    assert rows[-1].rstrip(" │").endswith(("%", ")"))
    narrow = oqm("trace", "e70", "--store", traces, COLUMNS="60").stdout
    assert "output.length.words: 120, usual: 12 (8 to 16) words, above all" in narrow
    assert "embedding" not in narrow


def test_too_few_outputs_are_no_reference(traces: Path) -> None:
    shown = oqm("trace", "e4", "--store", traces).stdout
    assert "no reference: outputs of the stream from before this one in the store: 4, and 20 are needed" in shown
    assert "  output.length.words: 12" in shown
    wrong = oqm("trace", "e4", "--store", traces, "--reference", "3")
    assert wrong.returncode == 2
    assert "0, or at least 20" in wrong.stderr


def test_texts_that_are_not_kept_have_no_features_to_compare(tmp_path: Path) -> None:
    privacy = Privacy(fields=(FieldPolicy(output=Keep.NONE),))
    usual = record(write(tmp_path, privacy=privacy), "e50")["reference"]["features"]
    assert "output.length.words" not in usual
    assert usual["input.length.words"]["values"] == 50


@pytest.mark.parametrize(
    ("value", "before", "mark"),
    [
        (5, [*range(1, 101)], None),
        (3, [*range(1, 101)], "below"),
        (0, [*range(1, 101)], "below all"),
        (97, [*range(1, 101)], "above"),
        (101, [*range(1, 101)], "above all"),
        (1, [0] * 100, "above all"),
        (None, [1.5] * 100, "missing"),
        (None, [1.5] * 50 + [None] * 50, None),
        (2.0, [None] * 100, "rare"),
        (2.0, [2.0] * 10, None),  # too few to say
        (True, [False] * 98 + [True] * 2, "rare"),
        (True, [False] * 100, "never"),
        (False, [True] * 97 + [False] * 3, "rare"),
        (True, [True, False] * 50, None),
        ("fr", ["en"] * 98 + ["fr"] * 2, "rare"),
        ("de", ["en"] * 98 + ["fr"] * 2, "never"),
        ("new", [f"amount {k}" for k in range(100)], None),  # rare values are usual
    ],
)
def test_what_lies_outside_is_marked(value: Any, before: list[Any], mark: str | None) -> None:
    found = usual_of({"f": value}, [{"f": each} for each in before])
    assert found["f"].mark == mark
