"""Answers of a support desk in which nothing changes: signatures, names, lists, tables, links and emoji at their ends.

Such endings have no full stop. Whoever takes them for sentences that were cut sees a fault in some of the answers, and
chance makes that into alerts. Each stream has one language or JSON, its own share of endings of each kind, and
independent events without a finish reason; texts: `support_texts.yaml`. Section `support` of `benchmarks.detection`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.report import Report, per_100k, poisson_interval
from benchmarks.watching import Alarms, Plan, alarms, seeded
from monitor.events.schema import OutputEvent
from monitor.features.batch import FeatureBatch, concat
from monitor.features.featurizer import Featurizer
from monitor.features.registry import build_featurizer

LANGUAGES = ("en", "de", "es", "ja", "json")
STREAM = 3_000
STREAMS = 60
"""Of `STREAM` events each, 156,000 after the warm-ups of 400."""
ENDINGS = ("plain", "signed", "name", "list", "numbered", "table", "link", "emoji", "label", "code")
USUAL = np.array([6.0, 7.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 0.3])
"""How often a stream's answers end so, up to the draw of each stream."""
PRODUCTS = ("Alto 3", "Nimbus 20", "Terra M", "Pico", "Lumen X2")
EMOJI = ("😊", "👍", "🎉", "🙏")
TRUNCATED, ENDS = "output.format.truncated", "output.format.ends_with"


class Desk:
    """One support desk: its language, and how often its answers end in which way."""

    def __init__(self, language: str, rng: np.random.Generator) -> None:
        texts = yaml.safe_load((Path(__file__).parent / "support_texts.yaml").read_text(encoding="utf-8"))
        self._language = language
        self._texts: dict[str, Any] = texts["en" if language == "json" else language]
        self._rng = rng
        self._shares = rng.dirichlet(USUAL)

    def answer(self) -> str:
        """One answer, complete."""
        if self._language == "json":
            return self._record()
        rng = self._rng
        say = rng.permutation(self._texts["say"])[: 1 + rng.integers(4)]
        parts = [self._one("open"), *map(self._fill, say)]
        if rng.random() < 0.4:
            parts.append(self._one("close"))
        body = ("" if self._language == "ja" else " ").join(parts)
        return body + self._ending(ENDINGS[rng.choice(len(ENDINGS), p=self._shares)])

    def _ending(self, kind: str) -> str:
        rng, texts = self._rng, self._texts
        join = "\n\n" if rng.random() < 0.3 or self._language == "ja" else " "
        steps = rng.permutation(texts["steps"])[: 2 + rng.integers(3)]
        if kind == "signed":
            return join + self._one("signed")
        if kind == "name":
            return "\n\n" + str(rng.choice(texts["names"]))
        if kind == "list":
            return "\n\n" + "\n".join(f"- {step}" for step in steps)
        if kind == "numbered":
            return "\n\n" + "\n".join(f"{place}. {step}" for place, step in enumerate(steps, start=1))
        if kind == "table":
            head = " | ".join(texts["head"])
            return f"\n\n| {head} |\n|---|---|\n" + self._fill("| {product} | {price} EUR |")
        if kind == "link":
            return join + self._fill("https://shop.example/orders/{order}")
        if kind == "emoji":
            return " " + str(rng.choice(EMOJI))
        if kind == "label":
            return "\n\n" + self._one("labels")
        if kind == "code":
            return self._fill("\n\n```\ntrack {order}\n```")
        return ""

    def _record(self) -> str:
        rng = self._rng
        record: dict[str, Any] = {
            "order": self._fill("{order}"),
            "topic": str(rng.choice(["delivery", "return", "price", "warranty"])),
            "reply": self._one("say"),
            "steps": list(rng.permutation(self._texts["steps"])[: rng.integers(4)]),
            "confidence": round(float(rng.beta(8, 2)), 2),
        }
        return json.dumps(record)

    def _one(self, key: str) -> str:
        return self._fill(str(self._rng.choice(self._texts[key])))

    def _fill(self, text: str) -> str:
        rng = self._rng
        return text.format(
            order=f"{'ABCDEFGH'[rng.integers(8)]}{rng.integers(10**5):05d}",
            days=2 + rng.integers(9),
            price=5 + rng.integers(90),
            product=rng.choice(PRODUCTS),
            name=rng.choice(self._texts["names"]),
        )


def traffic(featurizer: Featurizer, language: str, number: int, events: int) -> FeatureBatch:
    """The measured answers of one desk."""
    desk = Desk(language, seeded("support", language, number))
    outputs = [OutputEvent(stream=language, id=f"{number}-{k}", output=desk.answer()) for k in range(events)]
    return concat([featurizer.featurize(outputs[at : at + 256], source="support") for at in range(0, events, 256)])


def support(plan: Plan, report: Report) -> None:
    """Alarms on unchanged answers of support desks, and the base rate of `truncated` on them."""
    featurizer = build_featurizer(excerpts=False)
    streams = 5 if plan.quick else max(STREAMS, round(plan.events / 17_500))
    rows: list[list[object]] = []
    causes: list[list[object]] = []
    total = Alarms()
    endings = 0
    for place, language in enumerate(LANGUAGES):
        ours, cut = Alarms(), []
        for number in range(place, streams, len(LANGUAGES)):
            batch = traffic(featurizer, language, number, STREAM)
            cut.append(float(np.nanmean(batch.values[:, batch.names.index(TRUNCATED)])))
            found = alarms(batch, np.arange(len(batch)))
            ours.add(found)
            for finding in found.fired:
                named = ", ".join(f"{c.name} {c.before} -> {c.after}" for c in finding.features[:3])
                endings += any(c.name in (TRUNCATED, ENDS) for c in finding.features[:3])
                at = finding.raised_at.index
                causes.append([language, number, at, finding.severity.value, named or "(none alone)"])
        total.add(ours)
        rows.append([language, len(cut), f"{np.mean(cut):.2%}", f"{ours.events:,}", len(ours.fired), len(ours.infos)])
    heads = ["answers", "streams", "truncated", "events", "fired", "information"]
    report.table(
        f"Answers of support desks, unchanged, streams of {STREAM:,} independent events", heads, rows,
        "Signatures, names, lists, tables, links, emoji at their ends; none is cut. Warm-up not counted.",
    )  # fmt: skip
    if causes:
        report.table("What they said", ["answers", "stream", "at", "severity", "features"], causes, folded=True)
    low, _ = poisson_interval(len(total.fired))
    rate = per_100k(len(total.fired), total.events)
    report.bar("false alarms, support answers", "<= 1 per 100,000", rate, low * 1e5 / total.events <= 1)
    report.bar("of them by how answers end", "none", str(endings), endings == 0)
