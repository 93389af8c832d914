from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from monitor.events.schema import OutputEvent
from monitor.features.registry import build_featurizer
from monitor.features.text import embedded_data
from monitor.features.text.embedded_data import SHORTEST, cut_out
from monitor.features.text.words import TextBatch, table_for

RANDOM = np.random.default_rng(1)
DATA = RANDOM.integers(0, 256, 30_000, dtype=np.uint8).tobytes()
BASE64 = base64.b64encode(DATA).decode()
LINES = "\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76))
ORDINARY = [
    "The order was shipped on Monday and arrives soon. " * 40,
    "https://shop.example/orders/" + "path/" * 120 + "?token=abc123",
    "x" * 5_000,
    "ha" * 3_000,
    "loop1-loop2-" * 400,
    "您的订单已经发出" * 200,
    '{"a":"' + "x1y2z3," * 500 + '"}',
    "ACGT" * 1_000,
    "supercalifragilistic" * 60,
    "data: the numbers of May, data:image/png and data:,",
    "3.14159265358979323846264338327950288419716939937510",
    "",
    None,
]


def cut(text: str) -> tuple[str | None, int]:
    texts, counts = cut_out([text])
    return texts[0], int(counts[0])


@pytest.mark.parametrize(
    ("text", "left", "count"),
    [
        (f"![chart](data:image/png;base64,{BASE64}) Sales rose.", "![chart](data:image/png) Sales rose.", 1),
        (f"Describe data:image/PNG;name=a.png;base64,{BASE64}", "Describe data:image/png", 1),
        (f'{{"image": "data:image/jpeg;base64,{BASE64}", "n": 1}}', '{"image": "data:image/jpeg", "n": 1}', 1),
        ("data:image/svg+xml,%3Csvg" + "%20a" * 50 + " and text", "data:image/svg+xml and text", 1),
        (f"Key:\n{LINES}\nDone.", "Key:\ndata:base64\nDone.", 1),
        (f"{BASE64} and {DATA.hex()}", "data:base64 and data:base64", 2),
        (BASE64.replace("+", "-").replace("/", "_"), "data:base64", 1),
        (f"{{\"file\": \"{LINES}\"}}".replace("\n", "\\n"), '{"file": "data:base64"}', 1),
    ],
    ids=range(8),
)  # fmt: skip
def test_embedded_data_is_cut_out_and_counted(text: str, left: str, count: int) -> None:
    assert cut(text) == (left, count)


def test_ordinary_texts_are_the_same_objects() -> None:
    texts, counts = cut_out(ORDINARY)
    assert texts is ORDINARY
    assert not counts.any()
    mixed, _ = cut_out([*ORDINARY, BASE64])
    assert all(a is b for a, b in zip(ORDINARY, mixed, strict=False))


def test_an_image_neither_counts_as_words_nor_changes_what_is_said_beside_it() -> None:
    featurizer = build_featurizer()
    plain = "![chart](data:image/png) Sales rose by a tenth in May, and costs fell."
    image = plain.replace("data:image/png", f"data:image/png;base64,{BASE64}")
    alone = f"data:image/png;base64,{BASE64}"
    batch = featurizer.featurize(
        [OutputEvent(stream="s", id=t[:9], input=t, output=t) for t in (plain, image, alone)], source="t"
    )
    apart = [name for name in batch.names if not name.endswith("length.embedded")]
    columns = [batch.names.index(name) for name in apart]
    np.testing.assert_array_equal(batch.values[0, columns], batch.values[1, columns])
    value = {name: batch.values[:, batch.names.index(name)].tolist() for name in batch.names}
    assert value["output.length.embedded"] == value["input.length.embedded"] == [0, 1, 1]
    assert value["output.length.empty"] == [0, 0, 0]
    assert value["output.format.truncated"] == [0, 0, 0]
    assert value["output.length.chars"][2] == len("data:image/png")


@pytest.mark.parametrize(
    "text",
    [*(t for t in ORDINARY if t), BASE64, LINES, "data:" * 5_000, "data:a/b;" * 5_000, ("a1B2c3D4" * 9 + "\n") * 2_000,
     "\\n" * 9_000, "=" * 9_000],
    ids=range(18),
)  # fmt: skip
def test_work_is_linear_in_the_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters that Python functions look at, over those of the text: the same for a text ten times as long."""

    def work(times: int) -> int:
        looked = 0

        def counted(function: Any) -> Any:
            def call(part: str) -> Any:
                nonlocal looked
                looked += len(part)
                return function(part)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(embedded_data, "_is_plain", counted(embedded_data._is_plain))
            patch.setattr(embedded_data, "_is_data", counted(embedded_data._is_data))
            patch.setattr(embedded_data, "_looks_random", counted(embedded_data._looks_random))
            cut_out([text * times])
        return looked

    assert work(10) <= 12 * max(work(1), len(text))


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "ab1" * 300_000, "[" * 500_000, "w\u0301" * 300_000, DATA.hex() * 20, "é" * 1_000_000]
)  # fmt: skip
def test_a_word_of_a_megabyte_is_measured_once(text: str) -> None:
    seen = 0

    def letters(chunk: str) -> float:
        nonlocal seen
        seen += len(chunk)
        return 0.0

    class Family:
        word_columns = {"test.letters": letters}  # noqa: RUF012

    batch = TextBatch([text, text], table_for([Family()]))
    assert batch.sums["test.letters"].tolist() == [0, 0]
    assert seen <= len(text)
    assert batch.pieces.max() <= len(text)
    assert SHORTEST > 0
