"""Reasoning that a model writes into its output before the answer: `<think> ... </think>` and its kin.

`EventBatch` cuts it off before anything is measured: a reader is shown the answer. Known are the marks of DeepSeek and
Qwen (`<think>`; also without the opening one, which their chat template may hold), `<thinking>`, `<reasoning>` and
others in angle brackets, Magistral's `[THINK]`, Kimi's and gpt-oss's channels. Marks within an answer that speaks of
them are left alone: reasoning stands at the start. May import nothing of this package.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAMES = "think|thinking|thought|thoughts|reasoning|scratchpad|seed:think|inner_monologue"
_OPENS = re.compile(
    rf"\s*+(?:<(?P<tag>{_NAMES})>|\[(?P<bracket>THINK)\]|(?P<kimi>\u25c1)think\u25b7"
    r"|(?:<\|start\|>assistant)?(?P<channel><\|channel\|>)analysis<\|message\|>)",
    re.IGNORECASE,
)
_UNOPENED = re.compile(rf"</({_NAMES})>[ \t]*+(?=\n|\Z)|(?<=\n)</({_NAMES})>", re.IGNORECASE)
_FINAL = re.compile(r"\s*+(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>")
_MOST_BLOCKS = 50  # an agent's output may reason between its steps


class Reasoned(NamedTuple):
    """An output in parts: the answer, the reasoning before it, and whether that came to its end."""

    answer: str
    reasoning: str = ""
    closed: bool = True


def split_reasoning(text: str) -> Reasoned:
    """The parts of an output. Nearly all have no reasoning, which two looks at the text show."""
    if "</" in text and _first_mark(text) not in "<[\u25c1":
        ends = _UNOPENED.search(text)
        if ends is not None and f"<{(ends[1] or ends[2]).lower()}>" not in text[: ends.start()].lower():
            return Reasoned(text[ends.end() :].lstrip(), text[: ends.start()].strip())
    if _first_mark(text) not in "<[\u25c1":
        return Reasoned(text)
    reasoning: list[str] = []
    for _ in range(_MOST_BLOCKS):
        opened = _OPENS.match(text)
        if opened is None:
            break
        start, stop = _end_of(opened, text)
        reasoning.append(text[opened.end() : start].strip())
        if stop is None:
            return Reasoned("", "\n".join(reasoning), closed=False)
        text = text[stop:]
        final = _FINAL.match(text)
        text = text[final.end() :] if final else text.lstrip()
    return Reasoned(text, "\n".join(reasoning))


def _first_mark(text: str) -> str:
    first = text[:1]
    return text.lstrip()[:1] if first.isspace() else first


def _end_of(opened: re.Match[str], text: str) -> tuple[int, int | None]:
    """Where the reasoning ends and what follows it begins; None where it does not end."""
    ends: tuple[str, ...]
    if opened["tag"]:
        ends = (f"</{opened['tag']}>",)
    elif opened["bracket"]:
        ends = ("[/THINK]",)
    elif opened["kimi"]:
        ends = ("\u25c1/think\u25b7",)
    else:
        ends = ("<|end|>", "<|return|>")
    lowered = text.lower() if opened["tag"] else text
    for end in ends:
        at = lowered.find(end.lower() if opened["tag"] else end, opened.end())
        if at >= 0:
            return at, at + len(end)
    return len(text), None
