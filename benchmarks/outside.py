"""Libraries that need an environment of their own: made on demand, run as a program over files.

    python -m benchmarks.outside            makes the environments in `.cache/benchmarks/` (some minutes)
    python -m benchmarks.detection --only outside

Evidently needs an older pandas and numpy, alibi-detect an older numpy; textstat is only measured against
(`benchmarks/throughput.py`). Each is a script beside this module that runs in its environment, imports nothing of this
project, reads arrays (`.npz`) or texts (JSON) and prints JSON. Where an environment is not there, the table says how to
make it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from benchmarks import competitors, corpora
from benchmarks.corpora import Corpus, drawn
from benchmarks.report import Report, figure, median, per_100k
from benchmarks.watching import AFTER, Plan, seeded

REQUIREMENTS = {
    "evidently": ("evidently==0.7.*", "pandas<3", "numpy<2.4"),
    "alibi": ("alibi-detect==0.13.*",),
    "textstat": ("textstat==0.7.4", "setuptools"),  # later ones want NLTK's data, which is no package
}
REFERENCE = 400
WINDOW = 200
Floats = NDArray[np.float64]


def python_of(name: str) -> Path:
    """The interpreter of an environment, whether it is there or not."""
    return corpora.CACHE / f"venv-{name}" / "bin" / "python"


def make(name: str) -> None:
    """Make an environment with the interpreter that runs this. Raises `CalledProcessError` where it cannot be."""
    python = python_of(name)
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]], check=True)


def ask(name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """What the script of this environment makes of the arrays."""
    script = Path(__file__).with_name(f"outside_{name}.py")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        done = subprocess.run(
            [str(python_of(name)), str(script), str(path)], check=True, stdout=subprocess.PIPE, text=True
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def ask_of_texts(name: str, script: str, texts: Sequence[str]) -> dict[str, Any]:
    """What a script in this environment makes of texts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts))
        command = [str(python_of(name)), str(Path(__file__).with_name(script)), str(path)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def outside(plan: Plan, report: Report) -> None:
    """Evidently on windows of 200 and alibi-detect's online Cramer-von Mises test, where they are installed."""
    models = list(corpora.alpacaeval(plan.data).values())
    rows: list[list[object]] = []
    for name, measure in (("evidently", _evidently), ("alibi", _alibi)):
        if python_of(name).exists():
            rows += measure(models, plan)
        else:
            report.line(f"{name}: not installed; `python -m benchmarks.outside` makes its environment.")
    if rows:
        report.table(
            "Libraries with environments of their own",
            ["what", "no change", "changed (KS of lengths >= 0.3)"],
            rows,
            f"Reference of {REFERENCE} events. Evidently: windows of {WINDOW} flagged. alibi-detect: alarms per "
            f"100,000 events (95 % interval); median delay within {AFTER} events (runs missed).",
        )


def _pairs(models: Sequence[Corpus], n: int) -> list[tuple[Corpus, Corpus]]:
    far = [(a, b) for a in models for b in models if a is not b and ks_2samp(a.chars, b.chars).statistic >= 0.3]
    return [far[i] for i in seeded("outside").permutation(len(far))[:n]]


def _draw(corpus: Corpus, rng: np.random.Generator, n: int) -> Floats:
    return competitors.features(drawn(corpus.batch, rng.integers(0, len(corpus), n), "o"))


def _evidently(models: Sequence[Corpus], plan: Plan) -> list[list[object]]:
    pairs = _pairs(models, 4 if plan.quick else 20)
    found: dict[str, list[dict[str, bool]]] = {"same": [], "other": []}
    for number, (a, b) in enumerate(pairs):
        rng = seeded("evidently", number)
        reference = _draw(a, rng, REFERENCE)
        windows = np.stack([_draw(a, rng, WINDOW), _draw(b, rng, WINDOW)])
        same, other = ask("evidently", {"reference": reference, "windows": windows})["windows"]
        found["same"].append(same)
        found["other"].append(other)

    def flagged(kind: str, rule: str) -> str:
        return f"{sum(w[rule] for w in found[kind])} of {len(found[kind])}"

    return [
        [f"Evidently, {label}", flagged("same", rule), flagged("other", rule)]
        for rule, label in (
            ("dataset", "data set drift (half of the columns)"),
            ("length", "column drift of the length"),
            ("any", "drift of any column"),
        )
    ]


def _alibi(models: Sequence[Corpus], plan: Plan) -> list[list[object]]:
    pairs = _pairs(models, 1 if plan.quick else 6)
    alarms = events = 0
    delays: list[float] = []
    for number, (a, b) in enumerate(pairs):
        rng = seeded("alibi", number)
        reference, same = (_log_length(a, rng, n) for n in (REFERENCE, 5_000 if plan.quick else 20_000))
        others = np.stack([_log_length(b, rng, AFTER) for _ in range(5)])
        answer = ask("alibi", {"reference": reference, "same": same, "others": others})
        alarms += len(answer["alarms"])
        events += len(same)
        delays += [np.inf if delay is None else delay for delay in answer["delays"]]
    missed = sum(np.isinf(delays))
    return [
        [
            "alibi-detect CVM online on length, asked for 100 per 100,000",
            per_100k(alarms, events),
            f"{figure(median(delays))} ({missed} of {len(delays)})",
        ]
    ]


def _log_length(corpus: Corpus, rng: np.random.Generator, n: int) -> Floats:
    return np.log1p(corpus.chars[rng.integers(0, len(corpus), n)])


if __name__ == "__main__":
    for environment in REQUIREMENTS:
        make(environment)
        print(f"{environment}: {python_of(environment)}")
