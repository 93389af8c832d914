"""`FileNotes`: what was understood of files that their owner should know: which column is the time, in which unit, ...

Each is one sentence, kept once with the number of rows it holds for. `oqm` prints them behind the records it skipped.
Pure data; imports nothing from this project.
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST_CELL = 40  # characters of a cell that a message quotes: a time or a number in full, a text's beginning


class FileNotes:
    """Sentences about files, each once, in the order in which they first came up."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], int] = {}
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, file: str, sentence: str, rows: int = 0, example: str = "") -> None:
        """Note that `sentence` holds for this many more rows of the file; 0 for what holds for a column or the file.

        Of the examples given for one sentence the first is kept.
        """
        key = file, sentence
        self._rows[key] = self._rows.get(key, 0) + rows
        if example:
            self._examples.setdefault(key, example)

    def __iter__(self) -> Iterator[str]:
        """`calls.csv: the time is taken from 'created_at' (3,000 rows)`."""
        for key, rows in self._rows.items():
            file, sentence = key
            said = [f"{rows:,} {'row' if rows == 1 else 'rows'}"] if rows else []
            if key in self._examples:
                said.append(f"such as {self._examples[key]}")
            yield f"{file}: {sentence} ({', '.join(said)})" if said else f"{file}: {sentence}"


def shown(cell: object) -> str:
    """A cell as it is quoted in a sentence: on one line, and short."""
    text = " ".join(str(cell).split())
    return repr(text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "...")
