"""Runs in textstat's own environment (`benchmarks.outside`): what its counts and one grade cost, text by text.

Reads a JSON file with a list of texts; prints one line of JSON: the functions' names and CPU microseconds a text.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import textstat

FUNCTIONS = (
    textstat.char_count,
    textstat.letter_count,
    textstat.lexicon_count,
    textstat.sentence_count,
    textstat.syllable_count,
    textstat.flesch_kincaid_grade,
    textstat.flesch_reading_ease,
)


WARM_UP = 50


def main(path: str) -> None:
    """Measure all texts but the first, for which what it reads from disk is read."""
    texts = json.loads(Path(path).read_text())
    began = 0.0
    for number, text in enumerate(texts):
        if number == WARM_UP:
            began = time.process_time()
        for function in FUNCTIONS:
            function(text)
    us = 1e6 * (time.process_time() - began) / (len(texts) - WARM_UP)
    print(json.dumps({"names": [function.__name__ for function in FUNCTIONS], "us": us}))


if __name__ == "__main__":
    main(sys.argv[1])
