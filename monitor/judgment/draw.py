"""Which outputs are judged: a draw that can be repeated, and that nobody who chooses event ids can foresee.

u = keyed hash of (stream, event id), uniform in [0, 1). An output is judged where u < p, p being the largest
probability of the rules that apply to it. So the same output is drawn in a replay, and raising p keeps the outputs
that were drawn before (the samples are nested).

The rules that applied make the *stratum*. Their shares among all outputs are known exactly, as every output is seen,
and estimates are made stratum by stratum (`monitor.judgment.estimates`). Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

UNIFORM = "uniform"
"""Name of the rule that applies to every output. Only its rows may enter drift detection: a rule whose share varies
would be a drift by itself."""


def uniform(salt: bytes, stream: str, event_id: str) -> float:
    """A number in [0, 1) that depends on the three alone: keyed BLAKE2b of stream and id, 53 bits of it.

    `salt` (1 to 64 bytes) is the installation's secret.
    """
    message = f"{len(stream)}:{stream}{event_id}".encode()
    digest = hashlib.blake2b(message, digest_size=8, key=salt).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Why an output is judged.

    Attributes
    ----------
    probability
        With which it was drawn, in (0, 1].
    rules
        Names of the rules that applied to it, sorted: its stratum.
    by_uniform
        Whether the uniform rule alone would have drawn it.
    """

    probability: float
    rules: tuple[str, ...]
    by_uniform: bool

    @property
    def stratum(self) -> str:
        """The rules that applied, as one text."""
        return "+".join(self.rules)


def stratum_of(rules: Iterable[str]) -> str:
    """The name of the stratum of outputs to which these rules apply."""
    return "+".join(sorted(set(rules)))


def draw(u: float, probabilities: dict[str, float], scale: float = 1.0) -> Drawn | None:
    """Whether an output with the number `u` is judged, given the probability of each rule that applies to it.

    `scale` in (0, 1] lowers all probabilities together, when the budget of the evaluator is spent. None: not judged.
    """
    if not probabilities:
        return None
    p = min(1.0, max(probabilities.values()) * scale)
    if u >= p:
        return None
    return Drawn(p, tuple(sorted(probabilities)), u < probabilities.get(UNIFORM, 0.0) * scale)
