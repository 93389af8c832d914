"""How well the features of tone, refusal and format agree with people and with ground truth, and what they cost.

    python -m benchmarks.features [--data ../shared/data] [--sentiment FOLDER]

Public sources: XSTest completions with people's labels (github.com/paul-rottger/xstest, CC BY 4.0); IFEval's GPT-4
outputs with their verdicts (google-research/instruction_following_eval, Apache-2.0); AlpacaEval outputs
(github.com/tatsu-lab/alpaca_eval); LLMDrift (github.com/lchen001/LLMDrift, Apache-2.0). `--sentiment` names the folder
`hutto_ICWSM_2014`, unpacked from `additional_resources/hutto_ICWSM_2014.tar.gz` of github.com/cjhutto/vaderSentiment:
people's ratings of tweets, film reviews, product reviews and newspaper editorials. Without it that table is left out.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from monitor.events.schema import OutputEvent
from monitor.features.base import Column, Extractor
from monitor.features.families.format import Format
from monitor.features.families.refusal import Refusal
from monitor.features.families.tone import Tone
from monitor.features.text.words import EventBatch, table_for
from scripts import build_refusal_model
from tests.features.ifeval import BATCH, INSTRUCTIONS, columns, format_agreement, read

# What a first attempt looks like.
ONE_EXPRESSION = re.compile(
    r"\b(i'?m sorry|i am sorry|i cannot|i can.?t|i'?m unable|i am unable|i won.t|as an ai|sorry, but)\b", re.I
)
Floats = NDArray[np.float64]


def refusal_table(data: Path, console: Console) -> None:
    """F1 against people's labels, each model by a fit without it, and how often ordinary outputs are flagged."""
    table = Table(title="Refusal (full or partial) against people's labels, XSTest; each model by a fit without it")
    for head in (
        "completions of",
        "refused",
        "F1",
        "precision",
        "recall",
        "AUC",
        "explicit part alone",
        "one expression",
    ):
        table.add_column(head)
    rows = read(data / "xstest_refusals.jsonl.gz")
    for model in ("gpt4", "mistralinstruct"):
        own = [row for row in rows if row["model"] == model]
        refused = np.array([row["label"] != "1_full_compliance" for row in own])
        texts = [row["output"] for row in own]
        family = Refusal(build_refusal_model.fit(data, without=model))
        found = columns(texts, [family])
        flag = np.array(found["output.tone.refusal"]) == 1
        score = np.array(found["output.tone.refusal_score"])
        explicit = score > 0.979
        one = np.array([bool(ONE_EXPRESSION.search(text[:200])) for text in texts])
        table.add_row(
            model, f"{refused.sum()} of {len(refused)}", f"{f1_score(refused, flag):.3f}",
            f"{precision_score(refused, flag):.3f}", f"{recall_score(refused, flag):.3f}",
            f"{roc_auc_score(refused, score):.3f}", f"{f1_score(refused, explicit):.3f}",
            f"{f1_score(refused, one):.3f}",
        )  # fmt: skip
    console.print(table)
    texts = [row["output"] for row in read(data / "alpacaeval.jsonl.gz")]
    score = np.array(columns(texts, [Refusal()])["output.tone.refusal_score"])
    console.print(
        f"Shipped model on {len(texts):,} AlpacaEval outputs: flagged {np.mean(score >= 0.5):.2%}, of them explicit "
        f"{np.mean(score > 0.979):.2%} (some are real: what it has no access to)."
    )


def sentiment_table(folder: Path, console: Console) -> None:
    """AUC of the sign of people's mean rating: ours beside VADER's, and microseconds a text."""
    table = Table(title="Sentiment against people's ratings: AUC of positive against negative, and cost")
    for head in (
        "texts",
        "n",
        "VADER",
        "ours",
        "VADER, |rating| > 0.5",
        "ours",
        "VADER us/text",
        "ours us/text",
        "ours missing",
    ):
        table.add_column(head)
    vader = SentimentIntensityAnalyzer()
    for name in ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets"):
        lines = (folder / f"{name}_GroundTruth.txt").read_text(encoding="latin-1").splitlines()
        parts = [line.split("\t") for line in lines if line]
        sources = {name: ([part[2] for part in parts], np.array([float(part[1]) for part in parts]))}
        wholes: dict[str, list[tuple[str, float]]] = {}
        for part in parts:
            wholes.setdefault(part[0].split("_")[0], []).append((part[2], float(part[1])))
        if len(wholes) * 2 < len(parts):  # the snippets are sentences: put each review or editorial together again
            joined = [" ".join(text for text, _ in whole) for whole in wholes.values()]
            sources[f"{name}, whole texts"] = (joined, np.array([np.mean([y for _, y in v]) for v in wholes.values()]))
        for title, (texts, rating) in sources.items():
            started = time.process_time()
            theirs = np.array([vader.polarity_scores(text)["compound"] for text in texts])
            vader_us = (time.process_time() - started) / len(texts) * 1e6
            ours, ours_us = _timed_sentiment(texts)
            missing = int(np.isnan(ours).sum())
            ours = np.nan_to_num(ours)  # missing where the language is surely another: no sign of either
            cells = []
            for floor in (0.0, 0.5):
                clear = np.abs(rating) > floor
                cells += [f"{roc_auc_score(rating[clear] > 0, side[clear]):.4f}" for side in (theirs, ours)]
            table.add_row(title, str(len(texts)), *cells, f"{vader_us:.0f}", f"{ours_us:.0f}", str(missing))
    console.print(table)
    console.print("Ours includes the split into words and all of the family's 13 features; words were seen before.")


def _timed_sentiment(texts: Sequence[str]) -> tuple[Floats, float]:
    tone = Tone()
    words = table_for([tone])
    events = [OutputEvent(stream="s", output=text) for text in texts]
    parts = [events[start : start + BATCH] for start in range(0, len(events), BATCH)]
    for part in parts:
        tone.extract(EventBatch(part, words))
    started = time.process_time()
    found = [tone.extract(EventBatch(part, words))["output.tone.sentiment"] for part in parts]
    elapsed = time.process_time() - started
    return np.concatenate([np.asarray(column, dtype=np.float64) for column in found]), elapsed / len(texts) * 1e6


def format_table(data: Path, console: Console, *, show: bool) -> None:
    """Agreement with IFEval's strict verdicts, instruction by instruction."""
    table = Table(title="Format against IFEval's verdicts on GPT-4's outputs")
    for head in ("instruction", "feature", "asked", "judged (number found in the prompt)", "agree"):
        table.add_column(head)
    total = [0, 0]
    for instruction, (asked, judged, agreed, differ) in format_agreement(data).items():
        table.add_row(
            instruction,
            INSTRUCTIONS[instruction][0],
            str(asked),
            str(judged),
            f"{agreed} ({agreed / max(judged, 1):.0%})",
        )
        total[0] += judged
        total[1] += agreed
        if show:
            for line in differ:
                console.print(instruction, line, markup=False, highlight=False)
    table.add_row("all", "", "", str(total[0]), f"{total[1]} ({total[1] / total[0]:.1%})")
    console.print(table)


def truncation_line(data: Path, console: Console) -> None:
    """How often outputs cut at a random place are flagged as truncated, and whole ones."""
    random = np.random.default_rng(0)
    whole = [row["output"] for row in read(data / "alpacaeval.jsonl.gz")]
    long = [text for text in whole[::3] if len(text) > 200]
    cut = [text[: int(random.integers(len(text) // 2, len(text) - 20))] for text in long]
    flagged = [np.nanmean(columns(texts, [Format()])["output.format.truncated"]) for texts in (cut, whole)]
    console.print(
        f"Truncation: {flagged[0]:.1%} of {len(cut):,} AlpacaEval outputs cut at a random character are flagged, "
        f"{flagged[1]:.1%} of the {len(whole):,} as they are."
    )


def cost_table(data: Path, console: Console) -> None:
    """Microseconds an output and family, in batches of 256, beyond the pass over the words that all share."""
    random = np.random.default_rng(0)
    outputs = [row["output"] for row in read(data / "alpacaeval.jsonl.gz")]
    chosen = random.permutation(len(outputs))[: 20 * BATCH]
    events = [OutputEvent(stream="s", output=outputs[i]) for i in chosen]
    families: list[Extractor] = [Tone(), Refusal(), Format()]
    words = table_for(families)

    def batches() -> list[EventBatch]:
        made = [EventBatch(events[start : start + BATCH], words) for start in range(0, len(events), BATCH)]
        for batch in made:
            _ = batch.output.sums, batch.output.text_of, batch.output.position
        return made

    table = Table(title="Cost on AlpacaEval outputs, batches of 256, processor time of one core")
    table.add_column("family")
    table.add_column("us/output")
    total = 0.0
    for family in families:
        best = np.inf
        for _ in range(4):
            made = batches()
            started = time.process_time()
            for batch in made:
                _: dict[str, Column] = dict(family.extract(batch))
            best = min(best, (time.process_time() - started) / len(events) * 1e6)
        table.add_row(family.family, f"{best:.1f}")
        total += best
    table.add_row("together", f"{total:.1f}")
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sentiment", type=Path, help="folder hutto_ICWSM_2014")
    parser.add_argument("--show", action="store_true", help="print the outputs that format and IFEval differ on")
    options = parser.parse_args()
    console = Console(width=160)
    refusal_table(options.data, console)
    if options.sentiment:
        sentiment_table(options.sentiment, console)
    else:
        console.print("Sentiment: left out; --sentiment names the folder with people's ratings (see --help).")
    format_table(options.data, console, show=options.show)
    truncation_line(options.data, console)
    cost_table(options.data, console)


if __name__ == "__main__":
    main()
