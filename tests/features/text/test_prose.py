from __future__ import annotations

import pytest

from monitor.features.text.prose import _LONGEST_QUOTE
from monitor.features.text.static_table import default_table
from monitor.features.text.word_table import WordTable
from monitor.features.text.words import TextBatch

TABLE = WordTable({}, default_table())


def prose(text: str) -> str:
    batch = TextBatch(["before it.", text, "after it."], TABLE)
    first, last = batch.offsets[1:3]
    said = [True] * int(last - first) if batch.prose is None else batch.prose[first:last].tolist()
    assert batch.prose is None or (batch.prose[:first].all() and batch.prose[last:].all())
    return " ".join(word for word, is_prose in zip(text.split(), said, strict=True) if is_prose)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Nothing to leave out here.", "Nothing to leave out here."),
        ("Run this:\n```rust\nprintln!(1);\n```\nIt works!", "Run this: It works!"),
        ("Run this:\n~~~\nwow!\n~~~\nGood.", "Run this: Good."),
        ("- Run:\n  ```py\n  a != b\n  ```\n- Stop.", "- Run: - Stop."),
        ("Use `a ? b : c` there.", "Use there."),
        ("Use `x` and `y z` there.", "Use and there."),
        ("See https://example.com/?q=1 or [docs](https://example.com).", "See or"),
        ('She wrote "I love this so much!" and left.', "She wrote and left."),
        ("Er sagte \u201eDas ist ja toll!\u201c und ging.", "Er sagte und ging."),
        ('A so-called "great" result.', 'A so-called "great" result.'),
        ("> They said so!\n> Twice!\n\nI doubt it.", "I doubt it."),
        ('{"id": 7, "reply": "We are very sorry about it.", "ok": true}', '"We are very sorry about it.",'),
        ('{"id": 7, "state": "open"}', ""),
    ],
)
def test_what_the_speaker_says(text: str, said: str) -> None:
    assert prose(text) == said


def test_a_quote_that_nobody_closes_ends_nowhere() -> None:
    text = '"open ' + "word " * (_LONGEST_QUOTE + 1) + 'late"'
    assert prose(text) == " ".join(text.split())
