"""Runs in Evidently's own environment (`benchmarks.outside`): what its simple descriptors of a text cost.

Reads a JSON file with a list of texts; prints one line of JSON: the descriptors' names and CPU microseconds a text,
without making the table that they are given in.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset
from evidently.descriptors import (
    BeginsWith,
    Contains,
    EndsWith,
    NonLetterCharacterPercentage,
    SentenceCount,
    TextLength,
    WordCount,
)


def main(path: str) -> None:
    """Measure the second of two runs, with everything imported and compiled."""
    table = pd.DataFrame({"output": json.loads(Path(path).read_text())})
    definition = DataDefinition(text_columns=["output"])
    descriptors = {
        "TextLength": TextLength("output"),
        "WordCount": WordCount("output"),
        "SentenceCount": SentenceCount("output"),
        "NonLetterCharacterPercentage": NonLetterCharacterPercentage("output"),
        "BeginsWith": BeginsWith("output", prefix="Sure"),
        "EndsWith": EndsWith("output", suffix="?"),
        "Contains": Contains("output", items=["sorry", "cannot"]),
    }
    for _ in range(2):
        began = time.process_time()
        data = Dataset.from_pandas(table, data_definition=definition, descriptors=[*descriptors.values()])
        columns = data.as_dataframe().shape[1] - 1
        seconds = time.process_time() - began
    if columns != len(descriptors):
        raise SystemExit(f"{columns} columns for {len(descriptors)} descriptors")
    print(json.dumps({"names": [*descriptors], "us": 1e6 * seconds / len(table)}))


if __name__ == "__main__":
    main(sys.argv[1])
