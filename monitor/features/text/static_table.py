"""The static embedding table: one 256-d row per WordPiece, distilled from all-MiniLM-L6-v2; loaded without torch.

A text's embedding is the sum of the rows of its pieces, scaled to unit length. Rows carry their weight in the sum, so
no division by the number of pieces is needed. Built by `scripts/build_static_table.py`, which says how; stored as int8
with one scale a row. Model: Reimers and Gurevych, Sentence-BERT (2019); all-MiniLM-L6-v2, Apache-2.0.
May import numpy and `monitor.features.text.wordpiece` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import IO

import numpy as np
from numpy.typing import NDArray

from monitor.features.text.wordpiece import WordPiece, default_vocabulary

DIMENSIONS = 256  # of the table in `monitor/features/data`, as it was fitted
WINDOW = 254
"""Pieces of a text that the transformer reads; the table was fitted to texts cut there, and reads on."""


@dataclass(frozen=True, slots=True)
class StaticTable:
    """Rows of the table and the pieces they belong to.

    Attributes
    ----------
    wordpiece
        Cuts a chunk into row numbers.
    rows
        float32 (pieces, dimensions).
    """

    wordpiece: WordPiece
    rows: NDArray[np.float32]

    def projections(self, count: int) -> NDArray[np.float32]:
        """float32 (dimensions, count): the leading ones, which are the principal components of what it was built on."""
        return np.eye(self.rows.shape[1], count, dtype=np.float32)


def read_table(file: IO[bytes], vocabulary: list[str]) -> StaticTable:
    """A table as the build script writes it. Raises `ValueError` where it does not fit the vocabulary."""
    with np.load(file, allow_pickle=False) as stored:
        codes: NDArray[np.int8] = stored["codes"]
        scales: NDArray[np.float32] = stored["scales"]
    if codes.shape[0] != len(vocabulary):
        raise ValueError(f"the static table has {codes.shape[0]} rows for {len(vocabulary)} pieces: build it again")
    rows = codes.astype(np.float32) * scales[:, None]
    return StaticTable(WordPiece(vocabulary), rows)


@cache
def default_table() -> StaticTable:
    """The table shipped with the package; read once per process (about 31 MB of memory)."""
    with resources.files("monitor.features").joinpath("data/static_table.npz").open("rb") as file:
        return read_table(file, default_vocabulary())
