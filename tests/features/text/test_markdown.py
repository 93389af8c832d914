from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from monitor.features.text.markdown import LONGEST_PARSED, CodeBlock, code_blocks, without_blocks


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("```js\na\n```", [CodeBlock("js", "a\n", True, 0, 3)]),
        ("x\n~~~~\n~~~\n~~~~\ny", [CodeBlock("", "~~~\n", True, 1, 4)]),
        ("1. Do:\n\n   ```sh\n   ls\n     -l\n   ```\n2. End.", [CodeBlock("sh", "ls\n  -l\n", True, 2, 6)]),
        ("> ```\n> q\n> ```\n\nz", [CodeBlock("", "q\n", True, 0, 3)]),
        ("`````md\n```py\n1\n```\n`````", [CodeBlock("md", "```py\n1\n```\n", True, 0, 5)]),
        ("```py\nprint(", [CodeBlock("py", "print(", False, 0, 2)]),
        ("a ``` b", []),
        ("``` a ``` b", []),
        ('{"a": "use ```x``` here"}', []),
    ],
)
def test_blocks_are_those_of_commonmark(text: str, blocks: list[CodeBlock]) -> None:
    assert code_blocks(text) == blocks


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ('python title="a.py"', "python"),
        ("JSON", "json"),
        ("{.py}", "py"),
        ("ts{1,3}", "ts"),
        ("", ""),
        ("c:main.c", "c"),
    ],
)
def test_the_language_is_the_first_word_of_the_info_string(info: str, language: str) -> None:
    assert CodeBlock(info, "", True, 0, 2).language == language


def test_the_rest_of_a_text_has_no_code() -> None:
    text = "a\n```\nb\n```\nc"
    assert without_blocks(text, code_blocks(text)) == "a\n\nc"


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["```", "```py", "~~~", "````", "text", "", "  x"]), max_size=9).map("\n".join))
def test_the_scan_of_lines_agrees_with_the_parser(text: str) -> None:
    parsed = [(t.info.strip(), t.map[0]) for t in MarkdownIt("commonmark").parse(text) if t.type == "fence" and t.map]
    assert [(block.info, block.first) for block in code_blocks(text)] == parsed


@pytest.mark.parametrize(
    "text", ["```\n" * 200_000, "> " * 300_000 + "```", "- ```\n" * 100_000, "~" * 1_000_000], ids=range(4)
)
def test_hostile_texts_are_read(text: str) -> None:
    assert len(text) > LONGEST_PARSED
    code_blocks(text)
