"""Traffic of the naming benchmark: three applications of a shop, before anything changes.

`answers` writes to customers in one of four languages, `tickets` turns each question into JSON, `agent` answers with
tool calls. All random choices come from one generator, so that a run can be repeated. Texts: `naming_texts.yaml`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from monitor.events.schema import Call, Latency, Model, OutputEvent, Prompt, Session, Usage

START = 1.75e9
EVERY_S = 20.0
LANGUAGES = ("en", "de", "es", "ja")


@dataclass(frozen=True)
class Shop:
    """The texts of one language, and a generator."""

    language: str
    texts: dict[str, Any]
    slots: dict[str, Sequence[str]]
    rng: np.random.Generator

    def pick(self, options: Sequence[str]) -> str:
        """One of these texts, its slots filled."""
        return self.fill(options[int(self.rng.integers(len(options)))])

    def say(self, key: str) -> str:
        """One text of this kind."""
        return self.pick(self.texts[key])

    def fill(self, text: str) -> str:
        """The text with its slots filled."""
        rng = self.rng
        values = {name: options[int(rng.integers(len(options)))] for name, options in self.slots.items()}
        values["order"] = f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(10**5):05d}"
        values["days"] = str(2 + int(rng.integers(4)))
        values["price"] = f"{5 + int(rng.integers(60))}"
        return text.format_map(values)

    def join(self, sentences: Sequence[str]) -> str:
        """Sentences as one text: without spaces between them in Japanese."""
        return ("" if self.language == "ja" else " ").join(sentences)


@cache
def _texts() -> dict[str, Any]:
    return dict(yaml.safe_load((Path(__file__).parent / "naming_texts.yaml").read_text(encoding="utf-8")))


def shop(language: str, seed: int) -> Shop:
    """The shop in one language."""
    texts = _texts()
    return Shop(
        language, texts["languages"][language], texts["slots"], np.random.default_rng([seed, LANGUAGES.index(language)])
    )


def answers(here: Shop, k: int) -> OutputEvent:
    """One answer to a customer."""
    rng = here.rng
    topics = here.texts["topics"]
    topic = list(topics)[int(rng.integers(len(topics)))]
    parts = topics[topic]
    body = [here.pick(parts["say"]) for _ in range(1 + int(rng.integers(2)))]
    body += [here.pick(parts["more"]) for _ in range(int(rng.integers(3)))]
    lines = [here.say("open"), *dict.fromkeys(body), here.say("close")]
    return _event(here, k, "shop/answers", here.pick(parts["ask"]), here.join(lines), topic)


PRIORITIES = ("low", "normal", "high")
INTENTS = ("delivery", "return", "price")


def tickets(here: Shop, k: int) -> OutputEvent:
    """One question as JSON for the ticket queue."""
    rng = here.rng
    topic = INTENTS[int(rng.integers(3))]
    record = {
        "intent": topic,
        "priority": PRIORITIES[int(rng.choice(3, p=[0.2, 0.6, 0.2]))],
        "confidence": round(float(rng.beta(8, 2)), 2),
        "needs_human": bool(rng.random() < 0.2),
        "order": f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(10**5):05d}",
    }
    question = here.pick(here.texts["topics"][topic]["ask"])
    return _event(here, k, "shop/tickets", question, json.dumps(record), topic)


TOOLS = ("get_order", "get_price", "create_return")


def agent(here: Shop, k: int) -> OutputEvent:
    """One step of an agent: a tool call written as JSON, and the call that it made."""
    rng = here.rng
    tool = TOOLS[int(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    order = f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(10**5):05d}"
    arguments: dict[str, Any] = {"order": order, "language": here.language}
    if tool == "get_price":
        arguments = {"product": here.pick(here.slots["product"]), "currency": "EUR"}
    question = here.pick(here.texts["topics"]["delivery"]["ask"])
    event = _event(here, k, "shop/agent", question, json.dumps({"tool": tool, "arguments": arguments}), tool)
    event.calls = [Call(dependency=tool, operation="call", status="ok", duration_s=_time(rng, 0.15), shape="5f2a91c0")]
    event.steps = [{"type": "tool_call", "name": tool, "arguments": arguments}]
    event.action = {"kind": tool}
    return event


def _event(here: Shop, k: int, stream: str, question: str, output: str, topic: str) -> OutputEvent:
    rng = here.rng
    incoming = 400 + len(question) // 4 + int(rng.gamma(4, 40))
    outgoing = max(1, round(len(output) / (4.2 if here.language != "ja" else 1.4)))
    first = _time(rng, 0.35)
    duration = _time(rng, 0.12)
    dependency = "orders-api" if rng.random() < 0.7 else "prices-api"
    failed = rng.random() < 0.002
    status: str | int = 503 if failed else 200
    return OutputEvent(
        stream=stream,
        id=f"{stream}-{k}",
        time=START + k * EVERY_S,
        input=question,
        output=output,
        finish_reason="stop",
        model=Model(provider="example", name="writer-large", version="2"),
        prompt=Prompt(name=stream, version="7"),
        usage=Usage(input_tokens=incoming, output_tokens=outgoing, context_limit=16_384),
        cost_usd=round(incoming * 1.5e-7 + outgoing * 6e-7, 8),
        latency=Latency(
            total_s=round(first + outgoing / float(rng.uniform(70, 100)) + duration, 4), first_token_s=first
        ),
        calls=[
            Call(
                dependency=dependency,
                operation="get",
                status=status,
                duration_s=duration,
                error="unavailable" if failed else None,
                shape="3f9c2ad1",
            )
        ],
        session=Session(id=f"s{int(rng.integers(10**8)):08d}", turn=1 + int(rng.geometric(0.6))),
        attributes={
            "locale": here.language,
            "channel": ("web", "app", "mail")[int(rng.integers(3))],
            "tenant": ("north", "south", "west", "east")[int(rng.integers(4))],
            "topic": topic,
            "rating": float(min(5, max(1, round(float(rng.normal(4.6, 0.6)))))),
            "thumbs_up": bool(rng.random() < 0.93),
            "tool": ("search", "lookup")[int(rng.random() < 0.2)],
        },
    )


def _time(rng: np.random.Generator, typical_s: float) -> float:
    return round(typical_s * math.exp(float(rng.normal(0, 0.3))), 4)


Source = Callable[[Shop, int], OutputEvent]
SOURCES: dict[str, Source] = {"answers": answers, "tickets": tickets, "agent": agent}
