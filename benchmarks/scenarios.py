"""Traffic generators: which row of a corpus comes next.

Each takes a corpus and a random generator and gives row numbers (n), drawn from real outputs. Those without a change
are what ordinary traffic does; none of them may page.

independent      a bootstrap of the rows
autocorrelated   Gaussian AR(1) through the ranks of the output lengths: long answers follow long ones
daily cycle      shares of the tasks swing over a day of 3,333 events (100,000 a month)
bursts           now and then twenty events or so of one task, or of five of its questions again and again
production hour  arrivals and token counts of the Azure trace, lengths matched rank by rank
prompt churn     the questions of the reference never come again
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from benchmarks.corpora import Corpus
from tests.azure_trace import Trace

DAY = 3_333
"""Events in a day of a stream that carries 100,000 a month."""

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]


def independent(corpus: Corpus, rng: np.random.Generator, n: int) -> Rows:
    """Bootstrap."""
    return rng.integers(0, len(corpus), n)


def autocorrelated(corpus: Corpus, rng: np.random.Generator, n: int, r: float) -> Rows:
    """Rows whose length ranks follow a Gaussian AR(1) with coefficient `r`; each row is as frequent as any other."""
    noise = rng.normal(size=n) * np.sqrt(1 - r * r)
    noise[0] /= np.sqrt(1 - r * r)
    latent = lfilter([1.0], [1.0, -r], noise)
    return by_length(corpus, rng)[_uniform_places(norm.cdf(latent), len(corpus))]


def by_length(corpus: Corpus, rng: np.random.Generator) -> Rows:
    """Rows from the shortest to the longest, ties in random order."""
    return np.lexsort((rng.random(len(corpus)), corpus.chars))


def _uniform_places(u: Floats, n: int) -> Rows:
    return np.minimum((u * n).astype(np.intp), n - 1)


def daily_cycle(corpus: Corpus, rng: np.random.Generator, n: int, swing: float = 0.8) -> Rows:
    """Each task's share is `1 + swing sin` of the time of day, each task with its own phase."""
    names = sorted(set(corpus.tasks))
    of_task = [np.flatnonzero(np.asarray(corpus.tasks) == name) for name in names]
    phase = np.arange(len(names)) / len(names) + rng.random()
    time = np.arange(n)[:, None] / DAY
    share = 1 + swing * np.sin(2 * np.pi * (time + phase))
    edges = np.cumsum(share, axis=1)
    task = (rng.random(n)[:, None] * edges[:, -1:] > edges).sum(1)
    rows = np.empty(n, dtype=np.intp)
    for number, own in enumerate(of_task):
        here = task == number
        rows[here] = own[rng.integers(0, len(own), int(here.sum()))]
    return rows


def bursts(
    corpus: Corpus, rng: np.random.Generator, n: int, every: int = 200, length: int = 20, few: int | None = None
) -> Rows:
    """Every 200 events or so, some twenty events (geometric) of which four in five are of one task.

    With `few`, they are of so many rows of that task: the same answers again and again, as of a client that retries.
    """
    rows = independent(corpus, rng, n)
    tasks = np.asarray(corpus.tasks)
    start = int(rng.geometric(1 / every))
    while start < n:
        stop = min(n, start + int(rng.geometric(1 / length)))
        asked = np.flatnonzero(tasks == tasks[rng.integers(len(tasks))])
        if few is not None:
            asked = rng.choice(asked, few)
        here = start + np.flatnonzero(rng.random(stop - start) < 0.8)
        rows[here] = rng.choice(asked, len(here))
        start = stop + int(rng.geometric(1 / every))
    return rows


def production_hour(corpus: Corpus, rng: np.random.Generator, trace: Trace) -> Rows:
    """For each request of the trace the output that has, among the corpus, the rank its token count has in the trace.

    So the hour's dependence and bursts are kept and the text is real.
    """
    jitter = trace.tokens_out + rng.random(len(trace.tokens_out)) * 0.5
    return by_length(corpus, rng)[_uniform_places((rankdata(jitter) - 0.5) / len(jitter), len(corpus))]


def halves(corpus: Corpus, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows of two disjoint halves of the prompts."""
    prompts = rng.permutation(np.unique(corpus.prompts))
    first = np.isin(corpus.prompts, prompts[: len(prompts) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def ramp(corpus: Corpus, rng: np.random.Generator, n: int, total: float) -> Rows:
    """Rows tilted towards long outputs, more and more: the mean normal score of the length ends `total` higher."""
    order = by_length(corpus, rng)
    z = norm.ppf((np.arange(len(order)) + 0.5) / len(order))
    shift = np.linspace(0, total, n)
    # A normal score tilted by e^(shift z) is normal with mean `shift`.
    return order[_uniform_places(norm.cdf(rng.normal(size=n) + shift), len(z))]


def tasks_swapped(corpus: Corpus, rng: np.random.Generator, before: int, after: int) -> tuple[Rows, Rows, list[str]]:
    """The same model is asked other questions: rows of two disjoint sets of tasks, and the new ones' names."""
    names = [str(name) for name in rng.permutation(sorted(set(corpus.tasks)))]
    cut = 2
    tasks = np.asarray(corpus.tasks)
    old, new = np.flatnonzero(np.isin(tasks, names[:cut])), np.flatnonzero(np.isin(tasks, names[cut:]))
    return rng.choice(old, before), rng.choice(new, after), names[cut:]


def mix(corpus: Corpus, rng: np.random.Generator, n: int, shares: dict[str, float]) -> Rows:
    """Rows with these shares of the tasks."""
    names = sorted(shares)
    weights = np.asarray([shares[name] for name in names])
    tasks = np.asarray(corpus.tasks)
    chosen = rng.choice(len(names), n, p=weights / weights.sum())
    rows = np.empty(n, dtype=np.intp)
    for number, name in enumerate(names):
        here = chosen == number
        rows[here] = rng.choice(np.flatnonzero(tasks == name), int(here.sum()))
    return rows
