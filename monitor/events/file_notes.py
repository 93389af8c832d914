"""`FileNotes`: what was understood of files that their owner should know: which column is the time, in which unit, ...

Each is one sentence, kept once with the number of rows it holds for. `oqm` prints them behind the records it skipped.
Pure data; imports nothing from this project.
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_CELL = 40


class FileNotes:
    """Sentences about files, each once, in the order in which they first came up."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], int] = {}

    def add(self, file: str, sentence: str, rows: int = 0) -> None:
        """Note that `sentence` holds for so many more rows of the file; 0 for what holds for a column or the file."""
        self._rows[file, sentence] = self._rows.get((file, sentence), 0) + rows

    def count(self, sentence_start: str) -> int:
        """For how many rows of all files the sentences hold that begin so."""
        return sum(rows for (_, sentence), rows in self._rows.items() if sentence.startswith(sentence_start))

    def __iter__(self) -> Iterator[str]:
        """`calls.csv: time is taken from column 'created_at' (3,000 rows)`."""
        for (file, sentence), rows in self._rows.items():
            counted = f" ({rows:,} {'row' if rows == 1 else 'rows'})" if rows else ""
            yield f"{file}: {sentence}{counted}"


def shown(cell: object) -> str:
    """A cell as it is quoted in a sentence: on one line, and short."""
    text = " ".join(str(cell).split())
    return repr(text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "...")
