"""SHA-256 of what `oqm replay --json` prints on fixed corpora: equal where behaviour must not change.

    python -m scripts.findings_digests [--decisions] [FAULT ...]     # prints one line a corpus, and their total

`--decisions` digests only when findings begin, fire and end (stream, state, `raised_at`, `began_at`): equal where only
words, kinds and lists of features change.

The corpora are the demo's faults, each 4,000 events of the simulated assistant with the fault from event 2,500 on, in
three seeds; they are made again at each run, from the seed alone. The digests of a commit are kept in its message.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.demo.assistant import SupportAssistant
from monitor.demo.faults import Fault

SEEDS = (7, 11)
DECIDED = ("stream", "state", "raised_at", "began_at")
EVENTS, CHANGE = 4_000, 2_500
START, EVERY_S = 1.7e9, 0.5


def corpus(fault: Fault, seed: int, file: Path) -> None:
    """Write one corpus as JSON lines."""
    assistant = SupportAssistant(seed)
    with file.open("wb") as out:
        for k in range(EVENTS):
            now = fault if k >= CHANGE else Fault.NONE
            age = max(0.0, (k - CHANGE) * EVERY_S)
            out.write(msgspec.json.encode(assistant.event(START + k * EVERY_S, now, age)) + b"\n")


def findings(file: Path) -> bytes:
    """What a replay of this file reports, one JSON object a line."""
    command = [sys.executable, "-m", "monitor.cli", "replay", str(file), "--json"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def decisions(found: bytes) -> bytes:
    """Of findings, one JSON object a line, what was decided and when."""
    lines = (msgspec.json.decode(line) for line in found.splitlines())
    return b"\n".join(msgspec.json.encode([one[name] for name in DECIDED]) for one in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the digests."""
    parser = argparse.ArgumentParser(prog="python -m scripts.findings_digests")
    parser.add_argument("faults", nargs="*", type=Fault, metavar="FAULT", help="all, if none is given")
    parser.add_argument("--decisions", action="store_true", help="digest only what was decided and when")
    options = parser.parse_args(arguments)
    total = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        for fault in options.faults or Fault:
            for seed in SEEDS:
                file = Path(folder) / "corpus.jsonl"
                corpus(fault, seed, file)
                found = findings(file)
                if options.decisions:
                    found = decisions(found)
                total.update(found)
                print(
                    f"{fault.value:20} {seed:3} {len(found.splitlines()):3} lines  {hashlib.sha256(found).hexdigest()}"
                )
    print(f"{'total':28}            {total.hexdigest()}")


if __name__ == "__main__":
    main()
