"""A support assistant of an online shop, simulated: believable questions and answers from `texts.yaml`.

Same seed, same events (up to the times passed in). Two streams: `support-bot/answer` writes to customers, and
`support-bot/triage` turns each question into JSON for a ticket queue.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import yaml

from monitor.demo.faults import Fault
from monitor.events.schema import Call, Latency, Model, OutputEvent, Prompt, Session, Trace, Usage

ANSWER = "support-bot/answer"
TRIAGE = "support-bot/triage"
TRIAGE_SHARE = 0.25  # of events: the second stream is the smaller one
CONTEXT_LIMIT = 16_384  # tokens of the simulated model: ordinary conversations use a small share of it
RAMP_S = 60.0
"""Seconds until a creeping fault has reached its full size."""
HANGING = {Fault.HANGING_CALLS: 0.1, Fault.SLO_BURN: 0.008}
"""Share of the calls that hang."""
OBJECTIVES = [
    {"name": "fast", "latency_s": 5.0, "objective": 0.9995},
    {"name": "served", "errors": True, "objective": 0.995},
]
"""What its operators promise of `support-bot/answer`; what they set for the monitor, too (`slo`)."""
STRUCK = "orders-api"
"""The dependency that a fault of a dependency strikes."""
SHAPE, CHANGED_SHAPE = "3f9c2ad1", "b81e77c4"
"""Shape of the dependencies' responses, and of what changed its format."""


class SupportAssistant:
    """Makes one output event at a time.

    Parameters
    ----------
    seed
        Everything random comes from it.
    """

    def __init__(self, seed: int = 7) -> None:
        texts = yaml.safe_load((files("monitor.demo") / "texts.yaml").read_text(encoding="utf-8"))
        self._slots: Mapping[str, Sequence[str]] = texts["slots"]
        self._languages: Mapping[str, Any] = texts["languages"]
        self._random = random.Random(seed)
        self._count = 0
        self._ticket: str | None = None  # the latest triage that no answer has followed yet
        self._round: str | None = None  # the latest output of a loop of agents

    def event(self, time: float, fault: Fault = Fault.NONE, fault_age_s: float = 0.0) -> OutputEvent:
        """The next output, produced at `time` (seconds since 1970), `fault_age_s` seconds into a fault."""
        rng = self._random
        self._count += 1
        growth = min(1.0, fault_age_s / RAMP_S)
        code = rng.choices(list(self._languages), [language["share"] for language in self._languages.values()])[0]
        language = self._languages[code]
        intents = language["intents"]
        intent = rng.choices(list(intents), [entry["weight"] for entry in intents.values()])[0]
        entry = intents[intent]
        slots = {name: rng.choice(values) for name, values in self._slots.items()}
        slots["order"] = f"{rng.choice('ABCDEFGH')}{rng.randrange(10**6):06d}"
        question = rng.choice(language["ask_before"]) + rng.choice(entry["questions"]).format_map(slots)
        question += rng.choice(language["ask_after"])
        triage = rng.random() < TRIAGE_SHARE
        call = self._call(entry["dependency"], Fault.NONE if triage else fault)
        output: str | None
        if triage:
            output = self._triage(intent, entry, slots, code, broken=fault is Fault.FORMAT_BREAK)
        else:
            output = self._answer(language, entry, slots, changed=fault is Fault.SILENT_UPDATE, failed=call)
        finish_reason: str | None = "stop"
        error = None
        if fault is Fault.TRUNCATED_OUTPUTS and not triage and rng.random() < 0.33:
            output, finish_reason = output[: int(len(output) * rng.uniform(0.4, 0.8))], "length"
        if fault is Fault.ERROR_SPIKE and not triage and rng.random() < 0.125:
            output, finish_reason, error = None, None, "RateLimitError: 429"

        turn = min(1 + int(rng.expovariate(0.9)), 8)
        input_tokens = 780 + len(question) // 4 + round((turn - 1) * rng.uniform(110, 230) + rng.gauss(340, 60))
        if fault is Fault.CONTEXT_GROWTH and not triage:
            input_tokens += round(growth * rng.uniform(6_500, 11_000))
        output_tokens = 0 if output is None else max(1, round(len(output) / 4.3))
        slowness = 1.0 + 2.0 * growth if fault is Fault.LATENCY_CREEP and not triage else 1.0
        if fault in HANGING and not triage and rng.random() < HANGING[fault]:
            slowness = 10.0
        first = slowness * math.exp(rng.gauss(-1.1, 0.28)) * (1 + input_tokens / 30_000)
        total = first + slowness * output_tokens / rng.uniform(70, 100) + (call.duration_s or 0.0)
        identity = f"demo-{self._count:06d}"
        return OutputEvent(
            stream=TRIAGE if triage else ANSWER,
            id=identity,
            causes=self._causes(identity, triage=triage, looping=fault is Fault.AGENT_LOOP),
            time=time,
            input=question,
            output=output,
            error=error,
            finish_reason=finish_reason,
            model=Model(provider="example", name="assistant-large", version="2"),
            prompt=Prompt(name="triage" if triage else "support-answer", version="14"),
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens, context_limit=CONTEXT_LIMIT),
            cost_usd=round(input_tokens * 1.5e-7 + output_tokens * 6e-7, 8),
            latency=Latency(total_s=round(total, 4), first_token_s=round(first, 4)),
            calls=[] if triage else [call],
            session=Session(id=f"session-{rng.randrange(10**8):08d}", turn=turn),
            trace=Trace(trace_id=f"{rng.getrandbits(128):032x}", span_id=f"{rng.getrandbits(64):016x}"),
            attributes={"locale": code, "channel": rng.choice(["web", "web", "app", "mail"])},
        )

    def _causes(self, identity: str, *, triage: bool, looping: bool) -> list[str]:
        """What an output follows from: an answer from a ticket; in a loop, begun by an answer, from the one before."""
        if looping:
            before = self._round
            if before is not None or not triage:
                self._round = identity
            return [] if before is None else [before]
        if triage:
            self._ticket = identity
            return []
        ticket, self._ticket = self._ticket, None
        return [] if ticket is None else [ticket]

    def _call(self, dependency: Sequence[str], fault: Fault) -> Call:
        name, operation = dependency
        struck = fault if name == STRUCK else Fault.NONE
        slow = math.exp(self._random.gauss(-2.6, 0.35))
        if self._random.random() < (0.35 if struck is Fault.FAILING_DEPENDENCY else 0.002):
            return Call(
                dependency=name, operation=operation, status=503, duration_s=round(2 + slow, 4), error="unavailable"
            )
        if struck is Fault.SLOW_DEPENDENCY:
            slow *= 15
        shape = CHANGED_SHAPE if struck is Fault.DEPENDENCY_FORMAT else SHAPE
        return Call(dependency=name, operation=operation, status=200, duration_s=round(slow, 4), shape=shape)

    def _answer(
        self,
        language: Mapping[str, Any],
        entry: Mapping[str, Any],
        slots: Mapping[str, str],
        *,
        changed: bool,
        failed: Call,
    ) -> str:
        rng = self._random
        opening, closing = rng.choice(language["openings"]), rng.choice(language["closings"])
        if failed.error is not None:
            return " ".join(part for part in (opening, rng.choice(language["unavailable"]), closing) if part)
        detail = rng.choice([0.25, 0.5, 0.85])
        body = [
            rng.choice(sentences).format_map(slots)
            for place, sentences in enumerate(entry["answers"])
            if place < 2 or rng.random() < detail
        ]
        if changed:
            opening = rng.choice(language["warm_openings"])
            closing = rng.choice(language["warm_closings"])
            body = [rng.choice(language["hedges"]) + text[0].lower() + text[1:] for text in body]
            body += rng.sample(language["warm_details"], rng.randint(1, 2))
        paragraphs = [" ".join(part for part in (opening, *body) if part)]
        if "steps" in entry and rng.random() < 0.4:
            steps = entry["steps"][: rng.randint(3, len(entry["steps"]))]
            paragraphs.append("\n".join(f"{n}. {step.format_map(slots)}" for n, step in enumerate(steps, 1)))
        if closing and (changed or rng.random() < 0.5):
            paragraphs.append(closing)
        elif closing:
            paragraphs[0] += " " + closing
        return "\n\n".join(paragraphs)

    def _triage(
        self, intent: str, entry: Mapping[str, Any], slots: Mapping[str, str], code: str, *, broken: bool
    ) -> str:
        rng = self._random
        ticket: dict[str, Any] = {
            "intent": intent,
            "priority": "high" if rng.random() < 0.06 else entry["priority"],
            "language": code,
            "order": slots["order"] if rng.random() < 0.6 else None,
            "needs_human": rng.random() < 0.12,
        }
        if not broken:
            return json.dumps(ticket)
        fenced = "```json\n" + json.dumps(ticket, indent=2) + "\n```"
        lead = rng.choice(["Here is the ticket:", "Sure! Here's the JSON you asked for:", "Based on the message:"])
        return rng.choice([f"{lead}\n\n{fenced}", fenced, f"{lead} {json.dumps(ticket)} Let me know if that works."])
