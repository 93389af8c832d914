"""What people call the numbers that they set limits for: `latency`, `cost`, `time in orders`.

Called by the wording of fixed thresholds (`monitor.detection.thresholds.wording`), where the clauses of
`monitor.features.change_words` do not fit: those say that something rose or fell. Pure.
"""

from __future__ import annotations

from monitor.features.families.dependencies import DURATION
from monitor.features.keyed import has_key, split_key

_NOUNS = {
    "call.latency.total_s": "latency",
    "call.latency.first_token_s": "time to the first token",
    "call.latency.queue_s": "time in the queue",
    "call.cost.usd": "cost",
    "call.tokens.input": "tokens sent",
    "call.tokens.output": "tokens received",
    "call.reasoning.tokens": "tokens of reasoning",
    "call.context.tokens": "tokens of context",
    "call.context.share": "share of the context in use",
    "call.dependency.duration_s": "time in dependencies",
    "output.length.words": "words of an answer",
    "output.length.chars": "characters of an answer",
    "output.length.tokens": "tokens of an answer",
    "input.length.words": "words of an input",
    "input.length.chars": "characters of an input",
}
"""Others are called by the name of the feature."""


def noun_of(name: str) -> str:
    """What people call a feature; of a single dependency, with its name."""
    if not has_key(name):
        return _NOUNS.get(name, name)
    feature, key = split_key(name)
    return f"time in {key}" if feature == DURATION else f"{_NOUNS.get(feature, feature)}[{key}]"
