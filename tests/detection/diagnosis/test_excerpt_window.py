"""Examples show what changed: at the beginning, at the end, or beside the output."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.detection.diagnosis.examples import side_by_side
from monitor.detection.diagnosis.excerpt_window import alike, windows
from monitor.detection.records.finding import Excerpt, FeatureChange
from monitor.events.schema import Call, Latency, OutputEvent
from monitor.features.quoted_outputs import quoted_outputs

ANSWERS = (
    "Your parcel left the warehouse this morning and the carrier has scanned it twice since, so nothing is lost.",
    "The blue kettle can be returned within the usual period as long as the lid and the filter are in the box.",
    "We changed the address on the order; the invoice keeps the old one because it was written before that.",
)
MORE = " You find all of this in your account under orders, where every step is listed with its date and its hour."
DISCLAIMER = " Please note that this answer is no legal advice and was not checked by a person."
WORDS = FeatureChange("output.length.words", 40.0, 55.0, 3.0)
TOOL = FeatureChange("call.tools.called", 0.1, 0.9, 8.0, "refund_order")


def quoted(outputs: Sequence[str], **fields: object) -> list[Excerpt]:
    events = [OutputEvent(stream="s", id=f"e{place}", output=text, **fields) for place, text in enumerate(outputs)]  # type: ignore[arg-type]
    texts = quoted_outputs(events)
    return [Excerpt(f"e{place}", "", text) for place, text in enumerate(texts)]


def shown(before: list[Excerpt], after: list[Excerpt], *changes: FeatureChange) -> tuple[list[str], list[str]]:
    first, second = windows(before, after, changes)
    return [each.output for each in first], [each.output for each in second]


def test_what_is_appended_is_shown() -> None:
    plain = [answer + MORE for answer in ANSWERS]
    before, after = shown(quoted(plain), quoted([text + DISCLAIMER for text in reversed(plain)]), WORDS)
    assert all(text.endswith("not checked by a person.") for text in after)
    assert all(text.startswith(answer[:40]) for text, answer in zip(after, reversed(ANSWERS), strict=True))
    assert all(text.endswith("its date and its hour.") for text in before)  # the same window on both sides
    assert all(len(text) <= 160 for text in [*before, *after])


def test_what_is_put_in_front_is_shown() -> None:
    plain = [answer + MORE for answer in ANSWERS]
    _, after = shown(quoted(plain), quoted([f"I am so sorry for the trouble. {text}" for text in plain]), WORDS)
    assert all(text.startswith("I am so sorry for the trouble. ") for text in after)


def test_an_answer_that_is_cut_off_shows_its_end() -> None:
    plain = [answer + MORE for answer in ANSWERS]
    _, after = shown(quoted(plain), quoted([text[:190] for text in plain]), WORDS)
    assert all(text.endswith(whole[170:190]) for text, whole in zip(after, plain, strict=True))


def test_short_outputs_are_shown_whole() -> None:
    _, after = shown(quoted(ANSWERS), quoted([f"{answer} Bye." for answer in ANSWERS]), WORDS)
    assert after == [f"{answer} Bye." for answer in ANSWERS]


def test_a_change_of_the_call_shows_tool_failure_and_time() -> None:
    calls = [
        Call(dependency="identity-api", error="timeout", duration_s=5.0),
        Call(dependency="search", duration_s=0.2),
    ]
    steps = [{"type": "tool_call", "name": "refund_order", "arguments": {"id": "4711"}}]
    made = quoted(ANSWERS, calls=calls, steps=steps, latency=Latency(total_s=6.25))
    _, after = shown(quoted(ANSWERS), made, TOOL)
    facts = "[tool refund_order; identity-api: timeout; identity-api took 5 s; 6.25 s in all]"
    assert after == [f"{facts} {answer}"[:160] for answer in ANSWERS]
    _, after = shown(quoted(ANSWERS), made, WORDS)
    assert after == list(ANSWERS)


def test_what_travels_is_bounded_and_masked() -> None:
    long = "x " * 5_000
    events = [
        OutputEvent(
            stream="s",
            output=f"{long}Write to ada@example.org or +49 170 1234567 at once.",
            calls=[Call(dependency="d" * 500, error=f"no answer for eva@example.org {'e' * 500}", duration_s=1.0)] * 9,
            steps=[{"name": f"tool{number}" * 30} for number in range(50)],
        ),
        OutputEvent(stream="s", output=f"{long}-----BEGIN RSA PRIVATE KEY-----\n" + "Ab/9" * 900),
        OutputEvent(stream="s", output=f"a \x1e b {'y ' * 200}\x1e c"),
        OutputEvent(stream="s", output="\udc80" * 400),
        OutputEvent(stream="s", output=None, error="down"),
        OutputEvent(stream="s", output=""),
    ]
    for text in quoted_outputs(events):
        assert len(text) <= 160 + 80 + 120 + 2
        assert "example.org" not in text
        assert "1234567" not in text
        assert "Ab/9" not in text
        assert text.count("\x1e") <= 2
        text.encode()


def test_a_message_of_before_has_the_beginning_alone() -> None:
    old = [Excerpt(f"e{place}", "", text) for place, text in enumerate(ANSWERS)]
    assert shown(old, old, TOOL) == (list(ANSWERS), list(ANSWERS))


def test_like_inputs_are_found() -> None:
    asked = ["Where is my parcel?", "Can I return the blue kettle?", "Please change my address"]
    held = [Excerpt(f"e{place}", text, "") for place, text in enumerate(asked)]
    assert alike("can I return the red kettle", held) == 1
    assert alike("What does the moon weigh", held) is None
    assert alike("", held) is None
    assert alike("Where is my parcel?", []) is None


def test_like_inputs_stand_side_by_side_and_the_others_are_usual_ones() -> None:
    asked = [
        "Where is my parcel?",
        "Good morning",
        "Can I return the blue kettle?",
        "Please change my address",
        "Thanks",
    ]
    held = [Excerpt(f"e{place}", text, "") for place, text in enumerate(asked)]
    after = [
        Excerpt(f"n{place}", text, "")
        for place, text in enumerate(("Return the red kettle, can I?", "Bye", "My parcel?"))
    ]
    found = side_by_side(held, held[:3], after)
    assert [each.event_id for each in found] == ["e2", "e1", "e0"]
    assert side_by_side(held, held[:3], []) == held[:3]
    assert side_by_side([], [], after) == []
