from __future__ import annotations

import numpy as np

from benchmarks.canary import ALIKE, held_out, sticky
from benchmarks.corpora import Corpus
from benchmarks.references import ORDINARY
from benchmarks.tests.test_scenarios import corpus
from benchmarks.watching import seeded


def test_the_rows_are_of_models_that_nothing_was_chosen_on() -> None:
    models = {name: Corpus(name, None, [], np.zeros(0, np.int64)) for name in "fbdace"}  # type: ignore[arg-type]
    assert [model.name for model in held_out(models)] == ["b", "d", "f"]


def test_shares_are_as_asked_and_rows_do_not_depend_on_them() -> None:
    own = corpus()
    for name, draw in ALIKE.items():
        rows, new = draw(own, seeded(name), 4_000, 0.3)
        assert abs(new.mean() - 0.3) < 0.06
        assert rows.min() >= 0
        assert rows.max() < len(own)


def test_a_session_keeps_its_task_and_its_version() -> None:
    own = corpus()
    rows, new = sticky(own, seeded("s"), 6_000, 0.5)
    task = np.asarray(own.tasks)[rows]
    # Twenty run at a time, so the same task comes with the same version a little more often than by chance.
    pairs = [(i, j) for i in range(0, 6_000, 7) for j in range(i + 1, min(i + 20, 6_000)) if task[i] == task[j]]
    same = np.mean([new[i] == new[j] for i, j in pairs])
    assert same > 0.5 + 0.01


def test_ordinary_references_have_the_length_asked() -> None:
    own = corpus()
    for name, draw in ORDINARY.items():
        assert len(draw(own, seeded(name), 300)) == 300
