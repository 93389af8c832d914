from __future__ import annotations

import pytest

from monitor.events.schema import OutputEvent
from monitor.features.families.format import Format
from monitor.features.families.length import Length
from monitor.features.families.refusal import Refusal
from monitor.features.text.reasoning import Reasoned, split_reasoning
from monitor.features.text.words import answer_of
from tests.features.columns import columns_of

LONG = "I compare both offers and look at the dates once more. " * 40


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Yes.", Reasoned("Yes.")),
        ("<think>a</think>\n\nb", Reasoned("b", "a")),
        ("  <Thinking>\na\n</Thinking>b", Reasoned("b", "a")),
        ("a plan\n</think>\n\nb", Reasoned("b", "a plan")),
        ("[THINK]a[/THINK]b", Reasoned("b", "a")),
        ("\u25c1think\u25b7a\u25c1/think\u25b7b", Reasoned("b", "a")),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", Reasoned("b", "a")),
        ("<think>a</think><think>b</think>c", Reasoned("c", "a\nb")),
        ("<think>a", Reasoned("", "a", closed=False)),
        ("<think></think>", Reasoned("")),
        (
            "The tag <think> opens it and </think> closes it.",
            Reasoned("The tag <think> opens it and </think> closes it."),
        ),
        ("<table><tr></tr></table>", Reasoned("<table><tr></tr></table>")),
    ],
)
def test_an_output_in_parts(text: str, parts: Reasoned) -> None:
    assert split_reasoning(text) == parts


def test_the_answer_alone_is_measured() -> None:
    answers = ["Sorry, but I can't help with that.", '{"a": 1}', "Fine."]
    with_reasoning = [f"<think>\n{LONG}</think>\n\n{answer}" for answer in answers]
    for family in (Length("output"), Format(), Refusal()):
        plain, reasoned = columns_of(family, answers), columns_of(family, with_reasoning)
        for name, column in plain.items():
            assert str(list(column)) == str(list(reasoned[name])), name


def test_reasoning_without_an_answer_is_empty_and_without_an_end_truncated() -> None:
    texts = ["<think>a.</think>", "<think>It ends in a full stop."]
    assert columns_of(Length("output"), texts)["output.length.empty"].tolist() == [1, 1]
    assert columns_of(Format(), texts)["output.format.truncated"].tolist()[1] == 1


def test_a_step_that_reasons_and_calls_a_tool_has_no_answer() -> None:
    event = OutputEvent(stream="s", output="<think>Look it up.</think>", finish_reason="tool_calls")
    assert answer_of(event) is None


@pytest.mark.parametrize(
    "text", ["<think>" * 200_000, "<think></think>" * 70_000, "</think>\n" * 100_000, "[THINK]" * 9]
)
def test_hostile_texts_are_split(text: str) -> None:
    split_reasoning(text)
