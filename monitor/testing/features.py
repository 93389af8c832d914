"""What every feature extractor must do: the checks of `monitor.features.base.Extractor`.

    def test_my_family():
        check_extractor(MyFamily())

May import `monitor.features` and below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from monitor.events.schema import Call, Latency, Model, OutputEvent, Prompt, Session, Usage
from monitor.features.base import Column, Extractor, FeatureSpec, Kind
from monitor.features.text.words import Embedder, EventBatch, table_for

_NAME = re.compile(r"(input|output|call)\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")

PLAIN_TEXTS: tuple[str, ...] = (
    "Hello there! How can I help you today?",
    "I'm sorry, but I can't help with that.",
    "# Title\n\n- one\n- two\n\n```python\nprint(1)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    '{"answer": [1, 2, {"deep": null}]}',
    "Das ist ein ganz gew\u00f6hnlicher Satz auf Deutsch, und er sagt nicht viel.",
    "again and again and again and again and again and again and again",
    "The quick brown fox jumps over the lazy dog. It was not amused, and neither were we.",
    "   \n\t ",
    "",
    "42",
)
"""Texts of the common kinds, and the smallest ones."""

HOSTILE_TEXTS: Mapping[str, str] = {
    "a megabyte": "The model said it all before, and then some more of it. " * 18_000,
    "a line of 100,000 characters": "x" * 100_000,
    "a line of 100,000 marks": "*" * 50_000 + "`" * 50_000,
    "many different words": " ".join(f"w{i}" for i in range(20_000)),
    "deep JSON": "[" * 50_000 + "]" * 50_000,
    "deep objects": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "unclosed fences": "```python\n" * 5_000,
    "nulls": "a\x00b \x00 " * 1_000,
    "control characters": "".join(map(chr, range(32))) * 100,
    "lone surrogates": "half \ud83d a \udc00 pair" * 100,
    "right to left": "\u0645\u0631\u062d\u0628\u0627 \u202e\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd " * 500,
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\u2764\ufe0f " * 1_000,
    "combining marks": "a" + "\u0301" * 20_000,
    "ideographs": "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002" * 5_000,
    "blank lines": "\n" * 100_000,
    "nested quotes": "> " * 20_000,
    "brackets": "[a](" * 10_000,
    "a number": "1" * 20_000 + "." + "0" * 20_000,
}
"""Texts that have hung or crashed text-processing code, by name."""


def sample_events() -> list[OutputEvent]:
    """Events of the common kinds: with and without input, call facts, error and output."""
    events = [
        OutputEvent(id=f"plain-{i}", stream="s", output=text, input=PLAIN_TEXTS[-1 - i], time=float(i))
        for i, text in enumerate(PLAIN_TEXTS)
    ]
    events.append(OutputEvent(id="bare", stream="s", output="Only what is required."))
    events.append(OutputEvent(id="error", stream="s", output=None, error="time-out"))
    events.append(
        OutputEvent(
            id="full",
            stream="s",
            output="Paris is the capital of France.",
            input="What is the capital of France?",
            finish_reason="stop",
            model=Model(provider="p", name="m", version="1", fingerprint="f"),
            prompt=Prompt(name="qa", version="2", text="Answer."),
            usage=Usage(input_tokens=10, output_tokens=8, context_limit=4096),
            cost_usd=0.001,
            latency=Latency(total_s=1.5, first_token_s=0.2),
            steps=[{"name": "search"}, {"name": "answer"}],
            calls=[
                Call(dependency="search", status=200, duration_s=0.1, shape="ab"),
                Call(dependency="db", status="error", error="refused"),
            ],
            session=Session(id="x", turn=3),
        )
    )
    return events


def hostile_events() -> list[OutputEvent]:
    """An event for each of `HOSTILE_TEXTS`, with the text as output and as input."""
    return [OutputEvent(id=name, stream="s", output=text, input=text) for name, text in HOSTILE_TEXTS.items()]


def check_extractor(extractor: Extractor, *, embedder: Embedder | None = None) -> None:
    """Holds an extractor to its contract. Raises `AssertionError` with what is wrong.

    Declarations are well formed; columns have the right length and type; a row depends on its event alone, not on the
    batch, on what was seen before, or on the order; what an event lacks is missing; hostile texts neither crash it nor
    bring non-finite numbers other than NaN. That its time is linear shows in a benchmark, not here.
    """
    _check_declarations(extractor)
    events = sample_events()
    together = _extract(extractor, events, embedder)
    for row, event in enumerate(events):
        _check_same(extractor, _extract(extractor, [event], embedder), 0, together, row, "alone and in a batch")
    backwards = _extract(extractor, events[::-1], embedder)
    for row in range(len(events)):
        _check_same(extractor, backwards, len(events) - 1 - row, together, row, "in another order")
    _check_missing(extractor, embedder)
    assert all(len(column) == 0 for column in _extract(extractor, [], embedder).values()), "an empty batch has no rows"
    hostile = hostile_events()
    columns = _extract(extractor, [*hostile, *events], embedder)
    for row in range(len(events)):
        _check_same(extractor, columns, len(hostile) + row, together, row, "beside hostile texts")


def _check_declarations(extractor: Extractor) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", extractor.family), f"family {extractor.family!r} is not a lower-case word"
    assert extractor.features, "declares no features"
    names = [spec.name for spec in extractor.features]
    assert len(set(names)) == len(names), "declares a feature twice"
    for spec in extractor.features:
        assert _NAME.fullmatch(spec.name), f"{spec.name!r} is not <side>.<family>.<name>"
        assert spec.meaning, f"{spec.name} does not say what it means"
        assert "\n" not in spec.meaning, f"{spec.name} needs one line of meaning"


def _extract(extractor: Extractor, events: Sequence[OutputEvent], embedder: Embedder | None) -> Mapping[str, Column]:
    columns = extractor.extract(EventBatch(events, table_for([extractor]), embedder))
    assert set(columns) == {spec.name for spec in extractor.features}, "columns are not the declared features"
    for spec in extractor.features:
        _check_column(spec, columns[spec.name], len(events))
    return columns


def _check_column(spec: FeatureSpec, column: Column, n: int) -> None:
    assert len(column) == n, f"{spec.name}: {len(column)} values for {n} events"
    if spec.kind is Kind.CATEGORY:
        assert all(value is None or type(value) is str for value in column), f"{spec.name}: categories are str or None"
        return
    assert isinstance(column, np.ndarray), f"{spec.name}: numbers come as an array"
    assert column.dtype == np.float32, f"{spec.name}: {column.dtype} instead of float32"
    assert not np.isinf(column).any(), f"{spec.name}: infinite"
    known = column[~np.isnan(column)]
    if spec.kind is Kind.FLAG:
        assert np.isin(known, (0, 1)).all(), f"{spec.name}: a flag is 0 or 1"
    if spec.kind is Kind.COUNT:
        assert ((known >= 0) & (known == np.floor(known))).all(), f"{spec.name}: a count is a whole number from 0"


def _check_same(
    extractor: Extractor, left: Mapping[str, Column], i: int, right: Mapping[str, Column], j: int, when: str
) -> None:
    for spec in extractor.features:
        a, b = left[spec.name][i], right[spec.name][j]
        same = a == b or (spec.kind is not Kind.CATEGORY and math.isnan(float(a or 0)) and math.isnan(float(b or 0)))
        assert same, f"{spec.name}: {a!r} and {b!r} for the same event {when}"


def _check_missing(extractor: Extractor, embedder: Embedder | None) -> None:
    """Nothing is known of an output that is null, of an input that is not there."""
    error = OutputEvent(id="error", stream="s", output=None, error="time-out")
    columns = _extract(extractor, [error], embedder)
    for spec in extractor.features:
        value = columns[spec.name][0]
        if spec.side in ("input", "output"):
            missing = value is None if spec.kind is Kind.CATEGORY else math.isnan(float(value or 0))
            assert missing, f"{spec.name}: {value!r} although the {spec.side} is missing"
