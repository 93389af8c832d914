from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.events.schema import OutputEvent
from monitor.features.families.format import (
    _CLOSING_HINTS,
    _CLOSINGS,
    Format,
    is_error_text,
    is_python,
    is_truncated,
    parse_json,
    short_shape,
)
from monitor.features.text.words import EventBatch, table_for
from tests.features.columns import columns_of
from tests.features.ifeval import format_agreement
from tests.shared_data import shared

FAMILY = Format()
WORDS = table_for([FAMILY])


def measure_all(*outputs: str | None) -> list[dict[str, Any]]:
    batch = EventBatch([OutputEvent(stream="s", output=output) for output in outputs], WORDS)
    columns = {name.removeprefix("output.format."): list(column) for name, column in FAMILY.extract(batch).items()}
    assert set(columns) == {spec.name.removeprefix("output.format.") for spec in FAMILY.features}
    return [{name: column[row] for name, column in columns.items()} for row in range(len(outputs))]


def measure(output: str | None) -> dict[str, Any]:
    return measure_all(output)[0]


MARKDOWN = """Sure! Here is an overview.

# Title
## Part
Some **bold** and *slanted* words, 2 * 3 * 4, see [docs](https://a.example/x) and https://b.example.

- one
* two
  + three
1. first
2) second

| a | b |
|---|---|
| 1 | 2 |

```python
# a comment, no heading
- 1
```
Dear [Your Name], your order is {{order_id}} [1].

I hope this helps!
"""


def test_markdown_is_counted_outside_of_code() -> None:
    found = measure(MARKDOWN)
    expected = {
        "headings": 2, "bullets": 3, "numbered": 2, "table_rows": 3, "highlights": 2, "code_blocks": 1, "links": 2,
        "placeholders": 2, "opening_boilerplate": 1, "closing_boilerplate": 1, "truncated": 0, "code_broken": 0,
        "json_valid": 0, "json_broken": 0, "json_shape": None, "starts_with": "letter", "ends_with": "sentence",
        "error_text": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "valid", "broken", "shape"),
    [
        ('{"id": 7, "tags": ["a", "b"]}', 1, 0, "{id:num,tags:[str]}"),
        (' [{"a": null}, {"a": true, "b": {}}]\n', 1, 0, "[{a:bool,b:{}}|{a:null}]"),
        ('```json\n{"a": 1.5}\n```', 1, 0, "{a:num}"),
        ('```\n{"a": 1}\n```\n', 1, 0, "{a:num}"),
        ("{}", 1, 0, "{}"),
        ("[]", 1, 0, "[]"),
        ('{"a": 1', 0, 1, None),
        ("{'a': 1}", 0, 0, None),
        ('{"a": 1,}', 0, 1, None),
        ('{"a": 1} and more', 0, 1, None),
        ('Here it is: {"a": 1}', 0, 0, None),
        ("[1] Smith (2020) says so.", 0, 0, None),
        ("[username]: hello", 0, 0, None),
        ("42", 0, 0, None),
        ('{"a": "\ud800"}', 0, 1, None),
    ],
)
def test_json(text: str, valid: int, broken: int, shape: str | None) -> None:
    found = measure(text)
    assert (found["json_valid"], found["json_broken"], found["json_shape"]) == (valid, broken, shape)
    assert found["truncated"] == broken


def test_the_shape_knows_keys_and_types_not_values_and_is_short() -> None:
    assert short_shape({"b": 1, "a": "x"}) == short_shape({"a": "y", "b": 2.5}) != short_shape({"a": 1, "b": 2})
    wide, other = ({f"key_{i}_{tail}": 1 for i in range(1000)} for tail in "xy")
    assert len(short_shape(wide)) < 70
    assert short_shape(wide) != short_shape(other)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("```python\nprint('a')\n```", 0),
        ("```py\ndef f(:\n```", 1),
        ('```json\n{"a": 1}\n```\nand\n```json\n{"a": }\n```', 1),
        ("Run it:\n```bash\nls |\n```", np.nan),
        ("No code at all.", np.nan),
        ("Run it:\n```bash\nls", 1),
        ("```python\n" + "x = 1\n" * 5000 + "```", np.nan),
    ],
)
def test_code_blocks(text: str, broken: float) -> None:
    np.testing.assert_equal(measure(text)["code_broken"], np.float32(broken))


@pytest.mark.parametrize(
    "text",
    [
        "The cat sat on the mat. It then went to the",
        "First we go home. Then we eat the bread that grandmother baked for us and after that we also",
        "There are three reasons for this. The first is the price,",
        "1. Wash the rice well.\n2. Boil it for ten minutes.\n3. Drain the wat",
        "Here is the whole list of all the things that you asked me for today:",
        "Use this:\n```python\nfor x in",
    ],
)
def test_truncated(text: str) -> None:
    assert measure(text)["truncated"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "Paris",
        "Yes, it is.",
        "- apples\n- pears\n- plums",
        "We did it. See you there! #happy #team",
        'He said. "Never stop trying." - Albert Einstein',
        "Sources. https://example.org/a/very/long/path/to/some/page/of/the/documentation",
        "What a day! 😀",
        "Kind regards,\nAnna",
    ],
)
def test_not_truncated(text: str) -> None:
    assert measure(text)["truncated"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\n  File",
        "openai.RateLimitError: Error code: 429 - {'error': {}}",
        "ValueError: bad input",
        "HTTP 503 Service Unavailable",
        "502 Bad Gateway",
        "upstream connect error or disconnect/reset before headers",
        '{"error": {"message": "overloaded"}}',
        "<html><head><title>504 Gateway Time-out</title></head></html>",
        "Request timed out.",
        "null",
        "[object Object]",
        "An error occurred while processing your request.",
    ],
)
def test_error_texts(text: str) -> None:
    assert is_error_text(text)
    assert measure(text)["error_text"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "A 404 Not Found page means that the address is wrong.",
        "To fix a ValueError: check the input.",
        "<html><body><h1>My bakery</h1></body></html>",
        "None of them is right.",
        "Nullable types are explained below.",
        "500 words on the sea",
        '{"result": "error"}',
    ],
)
def test_answers_are_no_error_texts(text: str) -> None:
    assert not is_error_text(text)


def test_missing_and_empty_outputs_are_missing() -> None:
    for output in (None, "", " \n\t"):
        assert all(value is None or np.isnan(value) for value in measure(output).values())


def test_capitals_are_a_share_of_letters() -> None:
    shouted, quiet, digits = measure_all("WHAT A DAY 1", "what a day", "123")
    assert shouted["capitals"] == 1
    assert quiet["capitals"] == 0
    assert np.isnan(digits["capitals"])


PIECES = [
    "```", "```python\n", "x = 1\n", "\n", "# ", "- ", "1. ", "| a ", "**", "*a", "[Name]", "{{", '{"a":', "[", "]",
    "}", "http://", "](", "word. ", "\ud800", "\x00", " " * 9,
]  # fmt: skip


@settings(max_examples=200)
@given(outputs=st.lists(st.none() | st.text(max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join), max_size=5))
def test_a_text_measures_the_same_alone_and_in_any_batch(outputs: list[str | None]) -> None:
    for output, together in zip(outputs, measure_all(*outputs), strict=True):
        np.testing.assert_equal(measure(output), together)


@settings(max_examples=50)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet="abc é"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc"), inner, max_size=3),
        max_leaves=20,
    )
)
def test_json_is_valid_in_any_layout(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    if isinstance(value, dict | list) and not (value and isinstance(value, list) and value[0] is None):
        plain, indented, fenced = measure_all(
            json.dumps(value), json.dumps(value, indent=2), f"```json\n{json.dumps(value)}\n```"
        )
        assert plain["json_valid"] == indented["json_valid"] == fenced["json_valid"] == 1
        assert plain["json_shape"] == indented["json_shape"] == fenced["json_shape"]


N = 4_900
HOSTILE = [
    "x" * 1_000_000, "*" * 1_000_000, "*a" * 500_000, "* a " * 250_000, "\n" * 1_000_000, ("\n" + " " * 100) * 10_000,
    "[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "[A" + "b" * 1_000_000, "[Aa]" * 250_000,
    "{{" * 500_000, "\x00" * 100_000, "\ud800 " * 100_000, "```" * 300_000, "```python\nx=1\n```\n" * 50_000,
    "\n1. a" * 200_000, "#" * 1_000_000, "\n|" * 500_000, "{" + " " * 1_000_000, "a." * 500_000, "](http" * 200_000,
    *("```python\n" + code + "\n```" for code in (
        "(" * N, "-" * N + "1", "[" * N, "not " * (N // 4) + "1", "a" + ".b" * (N // 2), "a" + "()" * (N // 2),
        "lambda:" * (N // 7) + "1", "1 if 1 else " * (N // 12) + "1", "2**" * (N // 3) + "1", "a=" * (N // 2) + "1",
        "f'{" * (N // 3), "a" + "[0]" * (N // 3), "'\\d'" * (N // 4), "a\0b", "1<" * (N // 2) + "1", "1" * N, "\ud800",
    )),
]  # fmt: skip


def test_hostile_texts_are_measured_in_a_thread() -> None:
    measured: list[str] = []

    def run() -> None:  # a worker thread has a smaller stack than the main one
        measured.extend(measure(text)["starts_with"] for text in HOSTILE)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(measured) == len(HOSTILE)


def test_python_of_any_nesting_is_judged_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert is_python("x = '\\d'")
    assert is_python("1 is 1")
    assert is_python("(" * 4_000) is False
    assert is_python("x" * 5_001) is None
    assert not recwarn.list


def test_agreement_with_ifeval() -> None:
    path = shared("ifeval_gpt4.jsonl.gz")
    found = format_agreement(path.parent)
    agreement = {name.split(":")[1]: agreed / judged for name, (_, judged, agreed, _) in found.items()}
    for name, bar in {
        "json_format": 1.0, "number_bullet_lists": 0.95, "number_highlighted_sections": 0.95, "quotation": 0.97,
        "number_placeholders": 0.9, "english_capital": 0.85, "english_lowercase": 0.94,
    }.items():  # fmt: skip
        assert agreement[name] >= bar, name
    assert sum(agreed for _, _, agreed, _ in found.values()) / sum(judged for _, judged, _, _ in found.values()) > 0.95


def test_cut_outputs_are_told_from_whole_ones() -> None:
    with gzip.open(shared("alpacaeval.jsonl.gz"), "rt", encoding="utf-8") as lines:
        whole = [json.loads(line)["output"].strip() for line in lines][::10]
    whole = [text for text in whole if len(text) > 200]
    random = np.random.default_rng(0)
    cut = [text[: int(random.integers(len(text) // 2, len(text) - 20))].strip() for text in whole]
    assert np.mean([is_truncated(text) for text in cut if "```" not in text]) > 0.7
    assert np.mean([is_truncated(text) for text in whole if "```" not in text]) < 0.01


def test_every_closing_holds_a_hint() -> None:
    assert [closing for closing in _CLOSINGS if not any(hint in closing for hint in _CLOSING_HINTS)] == []


@pytest.mark.parametrize(
    ("text", "blocks", "broken"),
    [
        ("1. Run:\n\n   ```python\n   if x:\n       y = 1\n   ```\n\n2. Stop.", 1, 0),
        ('- Try\n  ```json\n  {"a": 1}\n  ```', 1, 0),
        ("> ```python\n> a = (1,\n> ```", 1, 1),
        ("~~~python\na = 1\n~~~", 1, 0),
        ("````text\n```python\n(\n```\n````", 1, np.nan),
        ('```python title="x.py"\nfor\n```', 1, 1),
        ("```{.python}\na = 1\n```", 1, 0),
        ("Put it between ``` and ``` for a block.", 0, np.nan),
        ('{"how": "Put ```ls``` there."}', 0, np.nan),
        ("```python\na = 1", 1, 1),
    ],
)
def test_code_blocks_are_those_of_commonmark(text: str, blocks: int, broken: float) -> None:
    found = columns_of(Format(), [text])
    assert found["output.format.code_blocks"][0] == blocks
    np.testing.assert_equal(float(found["output.format.code_broken"][0]), broken)


def test_a_fence_in_a_json_string_closes_nothing() -> None:
    text = '```json\n{"how": "Put ```ls``` there."}\n```'
    found = columns_of(Format(), [text])
    assert [found[f"output.format.{name}"][0] for name in ("json_valid", "code_broken", "truncated")] == [1, 0, 0]
