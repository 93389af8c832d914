"""What changes in the naming benchmark, and what an alert about it must say.

Each change is one function that turns an event into what it would have been. `kinds` are the finding kinds that are
right, `says` a regular expression that the alert's title must match: the change in words that a person on call would
use. A change of a share of the traffic is made from the same function.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks.naming_traffic import EVERY_S, LANGUAGES, Shop, answers, shop
from monitor.events.schema import Call, OutputEvent

Turn = Callable[[OutputEvent, Shop], OutputEvent]

OUTPUT = frozenset({"drift", "silent_update"})


@dataclass(frozen=True)
class Change:
    """One labelled change.

    Attributes
    ----------
    name
        What it is called in the tables.
    turn
        Makes the changed event; None where the events stay as they are and come at another rate.
    says
        What the title must match, case ignored.
    kinds
        Kinds of finding that are right.
    source
        The application that it strikes.
    languages
        Those it exists in.
    rate
        Events as a multiple of the usual ones: 0 is a full stop.
    every_s
        Seconds between two events. On its first day a stream's volume is judged from 30 events a minute on; others wait
        for their second day.
    partial
        Whether a tenth of the traffic with it is a change that must be named as well.
    """

    name: str
    turn: Turn | None
    says: str
    kinds: frozenset[str] = OUTPUT
    source: str = "answers"
    languages: tuple[str, ...] = LANGUAGES
    rate: float = 1.0
    every_s: float = EVERY_S
    partial: bool = True


def _with(event: OutputEvent, output: str | None, **fields: Any) -> OutputEvent:
    return msgspec.structs.replace(event, output=output, **fields)


def _append(key: str) -> Turn:
    return lambda event, here: _with(event, here.join([event.output or "", here.say(key)]))


def _prepend(key: str) -> Turn:
    return lambda event, here: _with(event, here.join([here.say(key), event.output or ""]))


def _instead(key: str) -> Turn:
    return lambda event, here: _with(event, here.say(key))


def _replace(pairs: list[list[str]]) -> Callable[[str], str]:
    def turn(text: str) -> str:
        for old, new in pairs:
            text = text.replace(old, new)
        return text

    return turn


def _language(event: OutputEvent, here: Shop) -> OutputEvent:
    other = "en" if here.language != "en" else "es"
    return _with(event, answers(shop(other, int(here.rng.integers(10**6))), 0).output)


def _verbose(event: OutputEvent, here: Shop) -> OutputEvent:
    more = [answers(here, 0).output or "" for _ in range(2)]
    return _with(event, here.join([event.output or "", *more]))


def _short(event: OutputEvent, here: Shop) -> OutputEvent:
    marks = "。" if here.language == "ja" else "."
    text = event.output or ""
    return _with(event, text.split(marks)[0] + marks)


def _markdown(event: OutputEvent, here: Shop) -> OutputEvent:
    sentences = re.split(r"(?<=[.。!?])\s*", event.output or "")
    return _with(event, "## Info\n\n" + "\n".join(f"- **{s}**" for s in sentences if s))


def _off_topic(event: OutputEvent, here: Shop) -> OutputEvent:
    """An answer of the usual form and about the usual length that is about something else."""
    about = dict.fromkeys(here.say("off_topic") for _ in range(2))
    return _with(event, here.join([here.say("open"), *about, here.say("close")]))


def _polite(event: OutputEvent, here: Shop) -> OutputEvent:
    topics = here.texts["topics"]
    parts = topics[str(event.attributes["topic"])]
    return _with(event, here.join([here.pick(parts["say"]), here.pick(parts["more"])]))


def _emoji(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, f"{event.output} {'😀🎉👍🚀'[int(here.rng.integers(4))]}")


def _link(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, f"{event.output} https://shop.example/help/{int(here.rng.integers(1000))}")


def _placeholder(event: OutputEvent, here: Shop) -> OutputEvent:
    left = ("{customer_name}", "[Name]", "<NAME>", "{{first_name}}", "$NAME")[int(here.rng.integers(5))]
    return _with(event, here.join([left + ",", event.output or ""]))


def _personal(event: OutputEvent, here: Shop) -> OutputEvent:
    rng = here.rng
    kind = int(rng.integers(3))
    found = (
        f"4111 1111 1111 {1111}",
        f"+44 20 7946 {int(rng.integers(1000)):04d}",
        f"user{int(rng.integers(1000))}@example.org",
    )[kind]
    return _with(event, here.join([event.output or "", found]))


def _secret(event: OutputEvent, here: Shop) -> OutputEvent:
    letters = "".join(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"[int(k)] for k in here.rng.integers(0, 59, 48)
    )
    return _with(event, f"{event.output} sk-{letters}")


def _amounts(event: OutputEvent, here: Shop) -> OutputEvent:
    wild = lambda match: str(int(here.rng.integers(100, 5000)))  # noqa: E731
    return _with(
        event,
        re.sub(r"\b\d+(?:[.,]\d+)?(?=\s*(?:pounds|Euro|euros))", wild, event.output or "")
        if here.language != "ja"
        else re.sub(r"\d+(?=00円)", wild, event.output or ""),
    )


def _amounts_zero(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, re.sub(r"\b\d+(?:[.,]\d+)?(?=\s*(?:pounds|Euro|euros))|\d+(?=円)", "0", event.output or ""))


def _facts(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, _replace(here.texts["facts"])(event.output or ""))


def _currency(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, _replace(here.texts["currency"])(event.output or ""))


def _cut(event: OutputEvent, here: Shop) -> OutputEvent:
    text = event.output or ""
    return _with(event, text[: max(5, int(len(text) * float(here.rng.uniform(0.4, 0.8))))].rstrip(" .。,!?"))


def _loop(event: OutputEvent, here: Shop) -> OutputEvent:
    topics = here.texts["topics"]
    sentence = here.pick(topics[str(event.attributes["topic"])]["say"])
    return _with(event, here.join([event.output or "", *[sentence] * 12]))


def _same(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, here.texts["close"][1])


def _think(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(
        event, f"<think>The user asks about an order. I should look at it and then answer.</think>\n{event.output}"
    )


def _code(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, f"{event.output}\n\n```python\nprint('order')\nfor k in range(3):\n    print(k)\n```")


def _capitals(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, (event.output or "").upper())


def _record(change: Callable[[dict[str, Any], Shop], Any]) -> Turn:
    def turn(event: OutputEvent, here: Shop) -> OutputEvent:
        record = json.loads(event.output or "{}")
        replaced = change(record, here)
        return _with(event, json.dumps(record if replaced is None else replaced))

    return turn


def _text(change: Callable[[str], str]) -> Turn:
    return lambda event, here: _with(event, change(event.output or ""))


def _rename(record: dict[str, Any], here: Shop) -> dict[str, Any]:
    return {("intention" if key == "intent" else key): value for key, value in record.items()}


def _latency(factor: float, share: float = 1.0, first: float = 1.0) -> Turn:
    def turn(event: OutputEvent, here: Shop) -> OutputEvent:
        if here.rng.random() >= share:
            return event
        now = event.latency
        slower = msgspec.structs.replace(
            now, total_s=round((now.total_s or 0) * factor, 4), first_token_s=round((now.first_token_s or 0) * first, 4)
        )
        return msgspec.structs.replace(event, latency=slower)

    return turn


def _error(event: OutputEvent, here: Shop) -> OutputEvent:
    return _with(event, None, error="RateLimitError: 429", finish_reason=None)


def _usage(**factors: float) -> Turn:
    def turn(event: OutputEvent, here: Shop) -> OutputEvent:
        usage = event.usage
        changed = {name: round((getattr(usage, name) or 0) * factor) for name, factor in factors.items()}
        return msgspec.structs.replace(event, usage=msgspec.structs.replace(usage, **changed))

    return turn


def _cost(event: OutputEvent, here: Shop) -> OutputEvent:
    return msgspec.structs.replace(event, cost_usd=(event.cost_usd or 0) * 3)


def _finish(event: OutputEvent, here: Shop) -> OutputEvent:
    return msgspec.structs.replace(event, finish_reason="content_filter")


def _call(**fields: Any) -> Turn:
    def turn(event: OutputEvent, here: Shop) -> OutputEvent:
        calls = [
            msgspec.structs.replace(call, **fields) if call.dependency == "orders-api" else call for call in event.calls
        ]
        return msgspec.structs.replace(event, calls=calls)

    return turn


def _slow_call(event: OutputEvent, here: Shop) -> OutputEvent:
    calls = [
        msgspec.structs.replace(c, duration_s=(c.duration_s or 0) * 8) if c.dependency == "orders-api" else c
        for c in event.calls
    ]
    return msgspec.structs.replace(event, calls=calls)


def _tool(name: str) -> Turn:
    def turn(event: OutputEvent, here: Shop) -> OutputEvent:
        record = json.loads(event.output or "{}")
        if record["tool"] != "get_order":
            return event
        record["tool"] = name
        call = Call(
            dependency=name, operation="call", status="ok", duration_s=event.calls[0].duration_s, shape="5f2a91c0"
        )
        steps = [{"type": "tool_call", "name": name, "arguments": record["arguments"]}]
        return _with(event, json.dumps(record), calls=[call], steps=steps, action={"kind": name})

    return turn


def _arguments(event: OutputEvent, here: Shop) -> OutputEvent:
    record = json.loads(event.output or "{}")
    record["arguments"] = {"id": record["arguments"].get("order", "x")}
    steps = [{"type": "tool_call", "name": record["tool"], "arguments": record["arguments"]}]
    return _with(event, json.dumps(record), steps=steps)


def _attribute(name: str, value: Callable[[Shop], Any]) -> Turn:
    return lambda event, here: msgspec.structs.replace(event, attributes={**event.attributes, name: value(here)})


def _ask(event: OutputEvent, here: Shop) -> OutputEvent:
    question = here.say("off_topic")
    return msgspec.structs.replace(event, input=question)


REFUSAL, FORMAT, LATENCY, ERRORS = (frozenset({name}) for name in ("refusal", "format", "latency", "errors"))
PRIVACY = OUTPUT | {"privacy", "safety"}
CHANGES: tuple[Change, ...] = (
    Change("language switch", _language, r"language|English|Spanish", OUTPUT | {"language"}),
    Change("refusal", _instead("refusal"), r"refus", REFUSAL),
    Change("apology", _prepend("apology"), r"apolog", OUTPUT | {"tone"}),
    Change("hedging", _append("hedge"), r"hedg|uncertain", OUTPUT | {"tone"}),
    Change("politeness lost", _polite, r"polite|courte|shorter|length|boilerplate|closing", OUTPUT | {"tone"}),
    Change("insults", _append("insult"), r"insult|profan|rude|abus", OUTPUT | {"safety", "tone"}),
    Change("warm exclamations", _prepend("warm"), r"exclam|warm|sentiment", OUTPUT | {"tone"}),
    Change("disclaimer", _append("disclaimer"), r"disclaim|longer|length|legal", OUTPUT),
    Change("AI self-reference", _prepend("ai"), r"\bAI\b|itself|self", OUTPUT | {"tone"}),
    Change("verbosity", _verbose, r"longer|length|words|characters"),
    Change("brevity", _short, r"shorter|length|words|characters|sentences"),
    Change("Markdown", _markdown, r"markdown|bullet|list|heading|bold", OUTPUT | {"format"}),
    Change("emoji", _emoji, r"emoji"),
    Change("links", _link, r"link|url"),
    Change("code blocks", _code, r"code", OUTPUT | {"format"}),
    Change("capitals", _capitals, r"capital|upper", languages=("en", "de", "es")),
    Change("boilerplate closing", _append("boilerplate"), r"boilerplate|closing|longer|length|question"),
    Change("placeholder left in", _placeholder, r"placeholder", OUTPUT | {"format"}),
    Change("personal data", _personal, r"personal|e-?mail|phone|card", PRIVACY),
    Change("secrets", _secret, r"secret|key|credential|personal", PRIVACY),
    Change("amounts made up", _amounts, r"amount|price|pound|euro|yen|円|number|value", OUTPUT | {"facts"}),
    Change("amounts zero", _amounts_zero, r"amount|price|pound|euro|yen|円|number|value", OUTPUT | {"facts"}),
    Change("durations changed", _facts, r"duration|14 ?(days|Tag|d[ií]as|日)|day|year|value|fact", OUTPUT | {"facts"}),
    Change("currency changed", _currency, r"currenc|dollar|Franken|CHF|peso|ドル|USD|amount|value", OUTPUT | {"facts"}),
    Change("truncation", _cut, r"cut|truncat|incomplete", frozenset({"truncation", "format"}) | OUTPUT),
    Change("empty", lambda e, h: _with(e, ""), r"empty", OUTPUT | ERRORS | {"empty"}),
    Change("loops", _loop, r"loop|repeat|repetit", OUTPUT | {"repetition"}),
    Change("the same answer", _same, r"same|repeat|identical|shorter|length"),
    Change("off topic", _off_topic, r"topic|question|overlap|similar|about|meaning"),
    Change("hidden reasoning", _think, r"reason|think", OUTPUT | {"format"}),
    Change("question back", _append("question_back"), r"question"),
    Change("JSON fence", _text(lambda t: f"```json\n{t}\n```"), r"JSON|fence", FORMAT, "tickets"),
    Change("JSON in prose", _text(lambda t: f"Here is the result: {t}"), r"JSON", FORMAT, "tickets"),
    Change(
        "JSON cut", _text(lambda t: t[: int(len(t) * 0.7)]), r"JSON|cut|truncat", FORMAT | {"truncation"}, "tickets"
    ),
    Change("key missing", _record(lambda r, h: r.pop("priority") and None), r"priority", FORMAT, "tickets"),
    Change("key renamed", _record(_rename), r"intent", FORMAT, "tickets"),
    Change(
        "key retyped", _record(lambda r, h: r.update(confidence=str(r["confidence"]))), r"confidence", FORMAT, "tickets"
    ),
    Change("key added", _record(lambda r, h: r.update(reason="x")), r"reason|JSON|shape", FORMAT, "tickets"),
    Change(
        "value of an enumeration",
        _record(lambda r, h: r.update(priority="urgent")),
        r"priority|urgent",
        OUTPUT | FORMAT,
        "tickets",
    ),
    Change(
        "one value always",
        _record(lambda r, h: r.update(intent="price")),
        r"intent|price",
        OUTPUT | FORMAT,
        "tickets",
        partial=False,
    ),
    Change(
        "wrong tool",
        _tool("get_price"),
        r"tool|get_price|get_order",
        OUTPUT | FORMAT | {"tool", "dependency"},
        "agent",
        partial=False,
    ),
    Change("new tool", _tool("get_customer"), r"tool|get_customer", OUTPUT | FORMAT | {"tool", "dependency"}, "agent"),
    Change("tool arguments", _arguments, r"argument|order|key|JSON", OUTPUT | FORMAT | {"tool"}, "agent"),
    Change("latency", _latency(2.0, first=2.0), r"slower|latency|time|took|takes", LATENCY, partial=False),
    Change("latency tail", _latency(8.0, share=0.06), r"slow|latency|time|took|takes", LATENCY, partial=False),
    Change("first token late", _latency(1.0, first=2.5), r"first token", LATENCY, partial=False),
    Change("faster", _latency(0.5, first=0.5), r"faster|fell|latency|time", LATENCY, partial=False),
    Change("errors", _error, r"error", ERRORS),
    Change("output tokens", _usage(output_tokens=1.8), r"token", OUTPUT | {"cost", "context"}, partial=False),
    Change("cost", _cost, r"cost|dollar|USD|\$", OUTPUT | {"cost", "context", "latency"}, partial=False),
    Change("context", _usage(input_tokens=6.0), r"context|token", frozenset({"context"}), partial=False),
    Change(
        "finish reason", _finish, r"finish|content_filter|stopped|filter", OUTPUT | ERRORS | {"refusal", "truncation"}
    ),
    Change("dependency fails", _call(status=503, error="unavailable"), r"orders-api", frozenset({"dependency"})),
    Change("dependency slow", _slow_call, r"orders-api", frozenset({"dependency"}), partial=False),
    Change("dependency's format", _call(shape="b81e77c4"), r"orders-api", frozenset({"dependency"})),
    Change("dependency new", _call(dependency="orders-v2"), r"orders-v2|orders-api", frozenset({"dependency", "tool"})),
    Change(
        "volume falls", None, r"fell|fewer|drop|volume", frozenset({"volume"}), rate=0.15, every_s=1.5, partial=False
    ),
    Change(
        "volume rises", None, r"rose|more|surge|volume", frozenset({"volume"}), rate=5.0, every_s=1.5, partial=False
    ),
    Change(
        "rating falls",
        _attribute("rating", lambda h: float(1 + int(h.rng.integers(3)))),
        r"rating",
        OUTPUT | {"feedback"},
    ),
    Change(
        "thumbs fall", _attribute("thumbs_up", lambda h: bool(h.rng.random() < 0.4)), r"thumb", OUTPUT | {"feedback"}
    ),
    Change(
        "attribute changes",
        _attribute("tool", lambda h: "guess"),
        r"tool|guess",
        OUTPUT | {"mix_shift", "tool", "feedback"},
    ),
    Change("other questions", _ask, r"input|question|ask", frozenset({"input_drift", "mix_shift"}), partial=False),
)
