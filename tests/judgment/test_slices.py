"""Classes of inputs, as counts and verdicts share them."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.events.schema import OutputEvent
from monitor.features.registry import build_featurizer
from monitor.judgment.slices import slices_of
from monitor.settings import Settings
from tests.pipelines.rows import rows_at


def classes(*inputs: str | None) -> list[dict[str, str]]:
    wanted = Settings().features
    featurizer = build_featurizer(wanted.families, wanted.embedding, excerpts=False)
    events = [OutputEvent(id=str(n), stream="s", time=1.0, input=text, output="x") for n, text in enumerate(inputs)]
    return slices_of(featurizer.featurize(events, source="t"))


def test_an_input_has_a_class_in_each_dimension() -> None:
    clean, german, mistyped, page = classes(
        "Where is the parcel that I ordered last week?",
        "Wo ist das Paket, das ich letzte Woche bestellt habe?",
        "wher is teh parcle taht I orderd lst wek?",
        "The parcel has not come. " * 60,
    )
    assert clean == {"language": "en", "length": "short", "noise": "clean", "mixed": "no"}
    assert german["language"] == "de"
    assert mistyped["noise"] == "noisy"
    assert page["length"] == "long"


@pytest.mark.parametrize(
    "text",
    [
        "Где моя посылка? Please tell me today.",
        "我的 package 在哪里 please tell me when 谢谢",
        "My p\u0430rc\u0435l is l\u043est, help",  # Cyrillic letters that look like Latin ones
    ],
)
def test_several_scripts_in_one_input_are_mixed(text: str) -> None:
    assert classes(text)[0]["mixed"] == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "Где моя посылка, я жду уже три недели?",
        "我的包裹在哪里我已经等了三个星期了",
        "Où est le colis déjà commandé à Noël ?",
    ],
)
def test_one_script_is_not_mixed(text: str) -> None:
    assert classes(text)[0]["mixed"] == "no"


def test_what_is_not_known_has_no_class() -> None:
    assert classes(None, "") == [{}, {"length": "short"}]
    rows = rows_at([0.0, 1.0])  # features of the input are not measured
    assert slices_of(rows) == [{}, {}]


@pytest.mark.parametrize(("tokens", "length"), [(15, "short"), (16, "medium"), (999, "long"), (1000, "very_long")])
def test_bounds_of_length(tokens: float, length: str) -> None:
    rows = rows_at([0.0])
    rows.names, rows.values = ("input.length.tokens",), np.array([[tokens]], dtype=np.float32)
    assert slices_of(rows) == [{"length": length}]
