"""Fenced code blocks of a text, as CommonMark 0.31 has them.

`TextBatch.code` asks for the texts that hold a fence's marks. Where all fences stand at the start of their lines, a
scan of those lines is exact; fences in lists and block quotes go to `markdown-it-py`, the reference parser's port, on
texts of at most `LONGEST_PARSED` characters. May import nothing of this package.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

LONGEST_PARSED = 20_000
"""Characters that the parser is given: some 10 ms. In longer texts fences in lists are read as if outside of them."""
_FENCE_LINE = re.compile(
    r"(?P<before>[ \t>]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8}){0,4}[ \t>]{0,40})"
    r"(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)"
)


class CodeBlock(NamedTuple):
    """A fenced block: info string, code, whether it is closed, and its lines (first to stop - 1, with the fences)."""

    info: str
    code: str
    closed: bool
    first: int
    stop: int

    @property
    def language(self) -> str:
        """The first word of the info string, in lower case: `python` of ```` ```python title="a.py" ````."""
        return re.split(r"[\s,{:]", self.info.strip().lstrip("{.").lower(), maxsplit=1)[0].rstrip("}")


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced code blocks of a text, in order; `_fence_lines` reads those lines alone that hold a fence's marks."""
    lines = _fence_lines(text)
    if not lines or not any(_opens(line) for line in lines):
        return []
    if len(text) > LONGEST_PARSED or not any(line["before"] for line in lines):
        return _scanned(text, lines)
    return _parsed(text)


def _fence_lines(text: str) -> list[re.Match[str]]:
    """The lines that begin with a fence, behind the marks of lists and block quotes."""
    found: list[re.Match[str]] = []
    for fence in ("```", "~~~"):
        at = text.find(fence)
        while at >= 0:
            line = _FENCE_LINE.match(text, text.rfind("\n", 0, at) + 1)
            if line is not None and line["fence"][0] == fence[0]:
                found.append(line)
            stop = text.find("\n", at)
            at = text.find(fence, stop) if stop >= 0 else -1
    return sorted(found, key=lambda line: line.start())


def without_blocks(text: str, blocks: list[CodeBlock]) -> str:
    """The text less the lines of these blocks."""
    lines = text.split("\n")
    for block in reversed(blocks):
        lines[block.first : block.stop] = [""]
    return "\n".join(lines)


def _opens(line: re.Match[str]) -> bool:
    return line["fence"][0] == "~" or "`" not in line["info"]


def _scanned(text: str, lines: list[re.Match[str]]) -> list[CodeBlock]:
    """Blocks by the lines with fences alone."""
    blocks: list[CodeBlock] = []
    opened: re.Match[str] | None = None
    number = at = 0
    first = 0
    for line in lines:
        number += text.count("\n", at, line.start())
        at = line.start()
        if opened is None:
            if _opens(line):
                opened, first = line, number
        elif line["fence"].startswith(opened["fence"]) and not line["info"].strip():
            code = text[opened.end() + 1 : line.start()]
            blocks.append(CodeBlock(opened["info"].strip(), code, True, first, number + 1))
            opened = None
    if opened is not None:
        stop = number + 1 + text.count("\n", at)
        blocks.append(CodeBlock(opened["info"].strip(), text[opened.end() + 1 :], False, first, stop))
    return blocks


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])  # blocks alone: what stands in a paragraph is not asked for
    return parser


def _parsed(text: str) -> list[CodeBlock]:
    blocks: list[CodeBlock] = []
    lines = text.split("\n")
    for token in _parser().parse(text):
        if token.type != "fence" or token.map is None:
            continue
        first, stop = token.map
        last = lines[min(stop, len(lines)) - 1].strip(" \t>\r")
        closed = stop - first > 1 and len(last) >= len(token.markup) and not last.strip(token.markup[0])
        blocks.append(CodeBlock(token.info.strip(), token.content, closed, first, stop))
    return blocks
