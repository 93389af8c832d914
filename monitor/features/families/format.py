"""The shape of an output: JSON, Markdown, code blocks, boilerplate, truncation, and texts that are no answer at all.

Each text is read by counting with `str` methods and by a few expressions without backtracking (possessive or bounded,
so linear in the text). Code between fences is taken out first, so that a comment in code is no heading. Parsing is
bounded: JSON to 1 MB, Python to 5,000 characters (about 0.2 us each); both parsers refuse deep nesting.

Markdown is read as CommonMark 0.31 has it, where a line scan can tell.
May import `monitor.features.{base,endings,json_texts,words}` only.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from monitor.features.base import Column, FeatureSpec, Kind, Role, Worse
from monitor.features.text.endings import is_cut_by, is_truncated, kind_of_end
from monitor.features.text.json_texts import parse_json, read_json, starts_as_json
from monitor.features.text.markdown import CodeBlock, without_blocks
from monitor.features.text.words import EventBatch

LONGEST_PYTHON = 5_000  # characters: parsing takes a few ms; longer answers in code are rare
BLOCKS_PARSED = 4  # of one output: bounds the time for it, and one that is broken shows among the first

_FENCE = "```"
_BYTE_ORDER_MARK = "\ufeff"
_MARKERS = re.compile(r"\n[ \t]*+(?:(#{1,6}+)[ \t]|([-*+\u2022])[ \t]|(\d{1,4}+)[.)][ \t]|(\|))")
_HIGHLIGHT = re.compile(r"(\*\*|\*)(?=[^\s*])[^\n*]++\1")
_PLACEHOLDER = re.compile(r"\[[^\W\d_][^\[\]\n]{1,60}+\](?!\(|: ?<?http)|\{\{[^{}\n]{1,60}+\}\}")
_JSON_BY_FENCE = ("json", "jsonc", "json5")
_PYTHON = ("python", "py", "python3")

_OPENINGS = (
    "sure", "certainly", "of course", "absolutely", "definitely", "great question", "good question", "here is",
    "here's", "here are", "i'd be happy", "i would be happy", "i'd be glad", "i'm happy to", "i am happy to",
    "happy to help", "thank you for", "thanks for", "as an ai", "as a language model", "okay", "ok,", "ok.", "ok!",
    "no problem", "understood", "got it", "alright", "great!", "awesome!", "perfect!",
)  # fmt: skip
_CLOSINGS = (
    "hope this helps", "hope that helps", "hope these", "hope you find", "let me know", "feel free to",
    "if you have any", "if you need any", "if you'd like", "if you would like", "anything else", "happy to help",
    "happy to assist", "don't hesitate", "do not hesitate", "reach out", "good luck", "any questions", "best of luck",
)  # fmt: skip
_CLOSING_HINTS = ("hope", "let me", "feel free", "if you", "else", "happy to", "hesitate", "reach out", "luck", "quest")
"""Half as many to look for; every closing holds one."""
_CLOSING_REACH = 240  # characters at the end that are read: a closing is one or two sentences

# What gateways, SDKs and providers put where an answer should be. Matched at the very start, ignoring case.
_ERROR = re.compile(
    r"traceback \(most recent call last\)|(?:[a-z_]+\.){0,6}[a-z]{0,40}(?:error|exception)(?::|\()"
    r"|(?:http(?:/\d(?:\.\d)?)? ?|error(?: code)?:? ?|status(?: code)?:? ?)[45]\d\d\b"
    r"|[45]\d\d (?:bad gateway|internal server error|service (?:temporarily )?unavailable|gateway time-?out|"
    r"too many requests|unauthorized|forbidden|not found|bad request)"
    r"|(?:internal server error|bad gateway|service (?:temporarily )?unavailable|gateway time-?out|too many requests|"
    r"request timed? ?out|request timeout|the request timed out|connection (?:refused|reset|error|timed out|aborted)|"
    r"upstream (?:connect|request|server)|socket hang up|econn(?:refused|reset)|etimedout|deadline exceeded|"
    r"rate limit (?:exceeded|reached)|you exceeded your current quota|the server (?:had an error|is overloaded)|"
    r"(?:that|the) model is (?:currently )?overloaded|this model's maximum context length|"
    r"an? (?:unexpected |internal )?error (?:has )?occurred|something went wrong|failed to (?:fetch|connect|load)|"
    r"permission denied|no healthy upstream|invalid api key|incorrect api key|context_length_exceeded|"
    r"rate_limit_exceeded|stream error|operation timed out)\b"
    r"|\{\s{0,20}\"(?:error|errors|detail|exception)\"\s{0,20}:"
    r"|\{\s{0,20}\"(?:status|statuscode|code)\"\s{0,20}:\s{0,20}\"?(?:[45]\d\d|error|fail)"
    r"|<!doctype html|<html|<\?xml[^>]{0,80}>\s{0,20}<error"
    r"|(?:null|none|undefined|nan|\[object object\]|n/a)\s{0,20}\Z",
    re.IGNORECASE,
)
_ERROR_REACH = 240  # characters at the start that are read: messages of errors begin with what they are
_ERROR_PAGE = ("error", "bad gateway", "unavailable", "denied", "not found", "timeout", "time-out")

_LIST_MARK = re.compile(r"(?:[-*+\u2022]|\d{1,4}[.)]|#{1,6})[ \t]")

_SHAPE_DEPTH = 4  # levels: below them values vary with the content, not with the format
_SHAPE_KEYS = 40  # of one object: those with more have data for keys
_SHAPE_ITEMS = 10  # of one list: its items are nearly always alike
_SHAPE_CHARACTERS = 56  # readable in a finding; a hash follows where a shape is longer


def is_python(code: str) -> bool | None:
    """Whether a text parses as Python (it is never run); None where it is longer than 5,000 characters."""
    if len(code) > LONGEST_PYTHON:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # about the text's own odd escapes; no concern of ours
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def shape(value: object, depth: int = _SHAPE_DEPTH) -> str:
    """The keys of a JSON value and the kinds of its leaves, to a bounded depth: `{id:num,tags:[str]}`."""
    if isinstance(value, dict):
        if depth == 0:
            return "{}"
        keys = sorted(value)[:_SHAPE_KEYS]
        return "{" + ",".join(f"{key[:40]}:{shape(value[key], depth - 1)}" for key in keys) + "}"
    if isinstance(value, list):
        if depth == 0:
            return "[]"
        return "[" + "|".join(sorted({shape(item, depth - 1) for item in value[:_SHAPE_ITEMS]})) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return "str" if isinstance(value, str) else "num"


def short_shape(value: object) -> str:
    """`shape`, cut to 56 characters and a hash of the whole where it is longer."""
    whole = shape(value)
    if len(whole) <= _SHAPE_CHARACTERS:
        return whole
    digest = hashlib.blake2s(whole.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{whole[:_SHAPE_CHARACTERS]}~{digest}"


def kind_of_start(text: str) -> str:
    """How a stripped, non-empty text begins, as one word."""
    first = text[0]
    if first in "{[":
        return "json" if starts_as_json(text) else "bracket"
    if first == "`":
        return "fence" if text.startswith(_FENCE) else "code"
    if first.isalpha():
        return "letter"
    if first.isdigit():
        return "numbered" if _LIST_MARK.match(text) else "digit"
    if first in "-*+\u2022#":
        if _LIST_MARK.match(text):
            return "heading" if first == "#" else "bullet"
        return "bold" if text.startswith("**") else "symbol"
    if first in "\"'\u201c\u2018\u00ab":
        return "quote"
    if first == "|":
        return "table"
    if first == "<":
        return "tag"
    return "symbol"


def is_error_text(text: str) -> bool:
    """Whether a stripped text is an error message, a page or a null of some upstream, not an answer."""
    match = _ERROR.match(text[:_ERROR_REACH])
    if match is None:
        return False
    if match.group(0)[0] == "<":  # a page is an answer where one was asked for; an error page says so in its head
        head = text[:600].lower()
        return any(map(head.__contains__, _ERROR_PAGE))
    return True


_COUNTS = ("headings", "bullets", "numbered", "table_rows", "highlights", "code_blocks", "links", "placeholders")
_FLAGS = ("json_valid", "json_broken", "code_broken", "opening_boilerplate", "closing_boilerplate", "truncated",
          "error_text")  # fmt: skip
_COLUMNS = _COUNTS + _FLAGS
_AT = {name: position for position, name in enumerate(_COLUMNS)}


def _count_markers(prose: str, row: list[float]) -> None:
    headings = bullets = numbered = table_rows = 0
    for match in _MARKERS.finditer(prose):
        kind = match.lastindex
        if kind == 2:
            bullets += 1
        elif kind == 3:
            numbered += 1
        elif kind == 1:
            headings += 1
        else:
            table_rows += 1
    row[0], row[1], row[2], row[3] = headings, bullets, numbered, table_rows


def _are_blocks_broken(blocks: list[CodeBlock]) -> float:
    """1 where a block is left open or does not parse in its language, 0 where one does, NaN where that is unknown."""
    if not all(block.closed for block in blocks):
        return 1.0
    verdict = np.nan
    for block in blocks[:BLOCKS_PARSED]:
        parses: bool | None = None
        if block.language in _PYTHON:
            parses = is_python(block.code)
        elif block.language == "json":
            parses = _parses(block.code)
        if parses is False:
            return 1.0
        if parses:
            verdict = 0.0
    return verdict


def _parses(code: str) -> bool:
    try:
        parse_json(code)
    except ValueError:
        return False
    return True


def _measure(
    text: str, blocks: list[CodeBlock], row: list[float], finish_reason: str | None
) -> tuple[str | None, str | None, str | None]:
    """Fills the row of one text with these code blocks; gives its JSON shape and how it starts and ends."""
    body = text.strip().removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not body:
        row[:] = [np.nan] * len(row)
        return None, None, None
    prose = body
    closed = True
    code: str | None = None  # what is in the one block that the output is
    row[_AT["code_broken"]] = np.nan
    if blocks:
        closed = blocks[-1].closed
        row[_AT["code_blocks"]] = float(len(blocks))
        row[_AT["code_broken"]] = _are_blocks_broken(blocks)
        prose = without_blocks(text, blocks).strip().removeprefix(_BYTE_ORDER_MARK).lstrip()
        if len(blocks) == 1 and not prose and blocks[0].language in ("", *_JSON_BY_FENCE):
            code = blocks[0].code.strip()
    if "[" in prose or "{{" in prose:
        row[_AT["placeholders"]] = float(len(_PLACEHOLDER.findall(prose)))
    json_shape = _measure_json(body if code is None else code, row)
    if json_shape is None:
        _measure_prose(prose, row)
        row[_AT["truncated"]] = float(not closed or is_truncated(body, finish_reason))
    else:
        cut = not closed or is_cut_by(finish_reason)
        row[_AT["truncated"]] = 1.0 if cut else row[_AT["json_broken"]]
    row[_AT["error_text"]] = float(is_error_text(body))
    return json_shape or None, kind_of_start(body), kind_of_end(body)


def _measure_json(text: str, row: list[float]) -> str | None:
    """Shape of a JSON text, empty where it begins as JSON but is none, None where it is something else."""
    found = read_json(text)
    if found is None:
        return None
    if not found.parses:
        row[_AT["json_broken"]] = 1.0
        return ""
    if found.values is not None:  # one value a line: whoever reads one JSON text fails, whoever reads lines does not
        return f"lines {short_shape(found.values)}"
    row[_AT["json_valid"]] = 1.0
    return short_shape(found.value)


def _measure_prose(prose: str, row: list[float]) -> None:
    _count_markers("\n" + prose, row)
    if "*" in prose:
        row[_AT["highlights"]] = float(len(_HIGHLIGHT.findall(prose)))
    if "http" in prose or "](" in prose:
        plain = prose.count("http://") + prose.count("https://") - prose.count("[http")
        row[_AT["links"]] = float(max(plain + prose.count("](") - prose.count("](http"), 0))
    if prose[:40].lstrip().lower().startswith(_OPENINGS):
        row[_AT["opening_boilerplate"]] = 1.0
    tail = prose[-_CLOSING_REACH:].lower()
    if any(map(tail.__contains__, _CLOSING_HINTS)):
        row[_AT["closing_boilerplate"]] = float(any(map(tail.__contains__, _CLOSINGS)))


def _capitals(chunk: str) -> float:
    return 0.0 if chunk.islower() else float(sum(map(str.isupper, chunk)))


def _letters(chunk: str) -> float:
    return float(len(chunk)) if chunk.isalpha() else float(sum(map(str.isalpha, chunk)))


class Format:
    """Family `format`: features of the output's shape, text by text."""

    family = "format"
    features = (
        FeatureSpec(
            "output.format.json_valid", Kind.FLAG,
            "the whole output, bare or in one code fence, is a JSON object or array",
            worse=Worse.DOWN, role=Role.FORMAT, lead=0,
        ),
        FeatureSpec(
            "output.format.json_broken", Kind.FLAG,
            "the output begins as JSON but does not parse: consumers of it fail",
            worse=Worse.UP, failure=True, role=Role.FORMAT, lead=1,
        ),
        FeatureSpec(
            "output.format.json_shape", Kind.CATEGORY,
            "keys and value types of a JSON output: a new shape breaks those who read it", role=Role.FORMAT, lead=1,
        ),
        FeatureSpec("output.format.headings", Kind.COUNT, "Markdown headings", role=Role.LAYOUT),
        FeatureSpec("output.format.bullets", Kind.COUNT, "bullet list items", role=Role.LAYOUT),
        FeatureSpec("output.format.numbered", Kind.COUNT, "numbered list items", role=Role.LAYOUT),
        FeatureSpec("output.format.table_rows", Kind.COUNT, "lines of Markdown tables", role=Role.LAYOUT),
        FeatureSpec("output.format.highlights", Kind.COUNT, "bold or italic passages in Markdown", role=Role.LAYOUT),
        FeatureSpec("output.format.code_blocks", Kind.COUNT, "fenced code blocks", role=Role.LAYOUT),
        FeatureSpec(
            "output.format.code_broken", Kind.FLAG,
            "a fenced block is left open, or Python or JSON in it does not parse; missing where no block can be judged",
            worse=Worse.UP, failure=True, role=Role.FORMAT, lead=2,
        ),
        FeatureSpec("output.format.links", Kind.COUNT, "links and bare web addresses", role=Role.LAYOUT),
        FeatureSpec(
            "output.format.placeholders", Kind.COUNT,
            "placeholders such as [Your Name] or {{order}}: a template that nobody filled in",
            worse=Worse.UP, role=Role.CONTENT_FAULT,
        ),
        FeatureSpec(
            "output.format.capitals", Kind.NUMBER, "share of its letters that are capitals", unit="share",
            role=Role.LAYOUT,
        ),
        FeatureSpec(
            "output.format.opening_boilerplate", Kind.FLAG,
            "opens with a phrase that says nothing (Sure! Here is ...): often the first sign of another model",
            role=Role.LAYOUT,
        ),
        FeatureSpec(
            "output.format.closing_boilerplate", Kind.FLAG,
            "closes with a phrase that says nothing (I hope this helps, let me know ...)", role=Role.LAYOUT,
        ),
        FeatureSpec(
            "output.format.truncated", Kind.FLAG,
            "stops in mid-sentence, in an open code block or in unfinished JSON, or at a limit by its finish reason",
            worse=Worse.UP, failure=True, role=Role.TRUNCATION,
        ),
        FeatureSpec(
            "output.format.starts_with", Kind.CATEGORY, "what it begins with: letter, bullet, json, ...",
            role=Role.LAYOUT,
        ),
        FeatureSpec(
            "output.format.ends_with", Kind.CATEGORY,
            "what it ends with, signatures and emoji aside: sentence, fence, colon, ...", role=Role.LAYOUT,
        ),
        FeatureSpec(
            "output.format.error_text", Kind.FLAG,
            "the output is an error message, an error page or a null of something upstream", worse=Worse.UP,
            failure=True, role=Role.CONTENT_FAULT,
        ),
    )  # fmt: skip
    word_columns: Mapping[str, Callable[[str], float]] = {"format.capitals": _capitals, "format.letters": _letters}

    def extract(self, batch: EventBatch) -> Mapping[str, Column]:
        """Columns by feature name; missing where there is no output, or nothing but whitespace in it."""
        text = batch.output
        rows: list[list[float]] = []
        shapes: list[str | None] = []
        starts: list[str | None] = []
        ends: list[str | None] = []
        code = text.code
        for number, (output, event) in enumerate(zip(text.texts, batch.events, strict=True)):
            row = [0.0] * len(_COLUMNS)
            found: tuple[str | None, str | None, str | None] = (None, None, None)
            if output is not None:
                found = _measure(output, code.get(number, []), row, event.finish_reason)
            parts = batch.answers[number]
            if parts is not None and not parts.closed:  # cut in its reasoning
                row[_AT["truncated"]] = 1.0
            rows.append(row)
            shapes.append(found[0])
            starts.append(found[1])
            ends.append(found[2])
        values = np.array(rows, dtype=np.float64).reshape(text.n, len(_COLUMNS))
        letters = text.sums["format.letters"]
        share = np.divide(text.sums["format.capitals"], letters, out=np.full(text.n, np.nan), where=letters > 0)
        columns: dict[str, Column] = {f"output.format.{name}": text.masked(values[:, at]) for name, at in _AT.items()}
        columns["output.format.capitals"] = text.masked(share)
        columns["output.format.json_shape"] = shapes
        columns["output.format.starts_with"] = starts
        columns["output.format.ends_with"] = ends
        return columns
