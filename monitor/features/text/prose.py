"""Which chunks of a batch are prose: no code, no quoted passage, no link, no JSON but the sentences in it.

`TextBatch.prose` calls `prose_of`. A tone is the speaker's: exclamation marks in Rust, a ternary in JavaScript, the
question mark of an address and a quoted review are not. Chunks carry what they mark (`sentences.layout`), so that only
those with a mark are looked at. May import its neighbours in this package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.features.text.json_texts import starts_as_json
from monitor.features.text.markdown import CodeBlock
from monitor.features.text.sentences import BACKTICK, BLOCK_QUOTE, NO_WORD, QUOTE_CLOSES, QUOTE_OPENS
from monitor.features.text.wordpiece import split_chunks

_LONGEST_QUOTE = 80  # words; an opening mark whose partner is further away has none
_LONGEST_CODE = 40  # words of code between two backticks
_SHORTEST_QUOTE = 3  # words; a shorter one is a title or a word in scare quotes, and the speaker's own
_LONGEST_JSON = 100_000  # characters of a JSON text whose strings are looked for
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*+:)?+')
_SPACES = 2  # a string with at least as many spaces is a sentence, one with fewer a value

Bools = NDArray[np.bool_]


class Parts(NamedTuple):
    """Which of m chunks are written as sentences (no code block, no JSON but its sentences), and which of these the
    speaker says (no quoted passage, code or link either); bool (m)."""

    written: Bools
    prose: Bools


def prose_of(
    layouts: NDArray[np.int16],
    text_of: NDArray[np.int32],
    offsets: NDArray[np.int64],
    line_starts: NDArray[np.int64],
    texts: Sequence[str | None],
    code: Mapping[int, tuple[list[CodeBlock], NDArray[np.int64]]],
) -> Parts | None:
    """Which of m chunks are prose; None where all are.

    `code` holds, by text, its fenced blocks and the index of the first chunk after each of its line breaks.
    """
    json = [row for row, text in enumerate(texts) if text and text.lstrip()[:1] in ("{", "[") and _is_json(text)]
    marked = np.flatnonzero(layouts & (BACKTICK | NO_WORD | QUOTE_OPENS | QUOTE_CLOSES | BLOCK_QUOTE))
    if not len(marked) and not json and not code:
        return None
    written = np.ones(len(layouts), dtype=np.bool_)
    for row, (blocks, starts) in code.items():
        begins = np.concatenate([[offsets[row]], starts, [offsets[row + 1]]])
        for block in blocks:
            written[begins[block.first] : begins[min(block.stop, len(begins) - 1)]] = False
    for row in json:
        start, stop = int(offsets[row]), int(offsets[row + 1])
        written[start:stop] = _prose_in_json(texts[row] or "", stop - start)
    prose = written.copy()
    marked = marked[written[marked]]
    marks = layouts[marked]
    prose[marked[(marks & (NO_WORD | BACKTICK)) != 0]] = False
    _mask_between(prose, marked[(marks & BACKTICK) != 0], text_of, _LONGEST_CODE)
    in_json = np.zeros(len(texts), dtype=np.bool_)
    in_json[json] = True
    _mask_quotes(prose, marked, np.where(in_json[text_of[marked]], 0, marks), text_of)
    quoting = marked[(marks & BLOCK_QUOTE) != 0]
    if len(quoting):
        _mask_lines(prose, quoting, line_starts, offsets, len(layouts))
    return Parts(written, prose)


def _is_json(text: str) -> bool:
    return starts_as_json(text.strip())


def _mask_between(prose: Bools, marks: NDArray[np.intp], text_of: NDArray[np.int32], longest: int) -> None:
    """What stands between two chunks with a backtick that are neighbours among such."""
    if len(marks) < 2:
        return
    first, second = marks[:-1], marks[1:]
    owner = text_of[marks]
    ordinal = np.arange(len(marks)) - np.searchsorted(owner, owner)
    pairs = (ordinal[:-1] % 2 == 0) & (owner[:-1] == owner[1:]) & (second - first <= longest) & (second - first > 1)
    _mask_spans(prose, first[pairs], second[pairs])


def _mask_quotes(prose: Bools, marked: NDArray[np.intp], marks: NDArray[np.int16], text_of: NDArray[np.int32]) -> None:
    """Passages from a chunk that opens a quote to the next that closes one."""
    quotes = (marks & (QUOTE_OPENS | QUOTE_CLOSES)) != 0
    both = (marks & QUOTE_OPENS != 0) & (marks & QUOTE_CLOSES != 0)
    at, marks = marked[quotes & ~both], marks[quotes & ~both]
    if len(at) < 2:
        return
    first, second = at[:-1], at[1:]
    pairs = ((marks[:-1] & QUOTE_OPENS) != 0) & ((marks[1:] & QUOTE_CLOSES) != 0) & (text_of[first] == text_of[second])
    length = second - first + 1
    pairs &= (length >= _SHORTEST_QUOTE) & (length <= _LONGEST_QUOTE)
    _mask_spans(prose, first[pairs], second[pairs])


def _mask_spans(prose: Bools, first: NDArray[np.intp], last: NDArray[np.intp]) -> None:
    if not len(first):
        return
    depth = np.zeros(len(prose) + 1, dtype=np.int32)
    np.add.at(depth, first, 1)
    np.add.at(depth, last + 1, -1)
    prose &= np.cumsum(depth)[:-1] == 0


def _mask_lines(
    prose: Bools, marks: NDArray[np.intp], line_starts: NDArray[np.int64], offsets: NDArray[np.int64], m: int
) -> None:
    """The lines that begin with one of these chunks."""
    starts = np.unique(np.concatenate([line_starts, offsets, [m]]))
    at = np.searchsorted(starts, marks)
    quoted = starts[np.minimum(at, len(starts) - 1)] == marks
    for start, stop in zip(marks[quoted].tolist(), starts[at[quoted] + 1].tolist(), strict=True):
        prose[start:stop] = False


def _prose_in_json(text: str, chunks: int) -> Bools | bool:
    """Which chunks of a JSON text are words of a string that reads as a sentence."""
    words = split_chunks(text) if len(text) <= _LONGEST_JSON else []
    if len(words) != chunks:
        return False
    spans = [match.span(1) for match in _JSON_STRING.finditer(text) if not match[2] and match[1].count(" ") >= _SPACES]
    found = np.zeros(chunks, dtype=np.bool_)
    if not spans:
        return found
    starts = np.array([start for start, _ in spans])
    ends = np.array([end for _, end in spans])
    place = 0
    places = np.empty(chunks, dtype=np.int64)
    for number, word in enumerate(words):
        place = text.index(word, place)
        places[number] = place + len(word) // 2
        place += len(word)
    within = np.searchsorted(starts, places, side="right") - 1
    return (within >= 0) & (places < ends[np.maximum(within, 0)])
