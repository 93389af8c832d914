"""One hour of two production LLM services: when requests came, and how many tokens they had.

Source: github.com/Azure/AzurePublicDataset, `AzureLLMInferenceTrace_{code,conv}.csv` (CC BY 4.0), in the file
`azure_llm_trace_2023.jsonl.gz` of the shared data.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "azure_llm_trace_2023.jsonl.gz"


@dataclass(frozen=True)
class Trace:
    """Requests of one service in order of arrival: times in seconds (n) and tokens of input and output (n)."""

    service: str
    times: NDArray[np.float64]
    tokens_in: NDArray[np.float64]
    tokens_out: NDArray[np.float64]


def read_traces(data: Path) -> list[Trace]:
    """The two services of the production hour; `data` is the folder that holds `FILE`."""
    with gzip.open(data / FILE, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    traces = []
    for service in sorted({str(row["service"]) for row in rows}):
        own = sorted(
            (datetime.fromisoformat(str(r["ts"])[:26]).timestamp(), float(r["tokens_in"]), float(r["tokens_out"]))
            for r in rows
            if r["service"] == service
        )
        times, tokens_in, tokens_out = np.asarray(own).T
        traces.append(Trace(service, times, tokens_in, tokens_out))
    return traces
