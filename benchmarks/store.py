"""How many events a second one worker writes into the trace store, by the role's own code.

    python -m benchmarks.store [--events 40000] [--postgres postgresql://oqm@127.0.0.1:5432/bench] [--kafka]

Events of about 1.8 KB: 110 words of output, 30 of input, a prompt of 60 words that one in some hundreds changes, two
steps and a call with a response body. Without `--kafka` the messages lie in memory and go
through `RowMaker.rows` and `TraceStore.write` in batches as the writer takes them: decoding, masking, one transaction.
With `--kafka` they are published to a real Apache Kafka first, and `oqm worker --role store` reads them as a process:
the rate is that of its rows from its first one to its last. PostgreSQL is started here where none is given, with
fsync as it is by default. The bars are 1,000 events a second into SQLite, and 4,000 into PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

from monitor.store.open import open_store
from monitor.store.privacy import Privacy
from pipelines.kafka.topics import TopicFacts
from pipelines.store.rows import RowMaker
from pipelines.store.writer import MAX_MESSAGES

BARS = {"SQLite": 1_000, "PostgreSQL": 4_000}
STREAMS = 20
PROMPTS = 50
_DAY_S = 86_400.0
_LEXICON = [f"{a}{b}" for a in ("or", "pay", "ship", "plan", "cust", "re", "li") for b in ("der", "ment", "ping", "s")]
QUICKEST = 0.25
"""Share of the batches whose rate is shown beside that of all: a machine that others share is idle now and then."""


def events(n: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Events as applications publish them, with ids and texts of their own."""
    rng = random.Random(seed)
    prompts = [" ".join(rng.choices(_LEXICON, k=60)) for _ in range(PROMPTS)]
    for number in range(n):
        version = number * PROMPTS // n
        yield {
            "id": str(uuid.UUID(int=rng.getrandbits(128))),
            "stream": f"svc-{number % STREAMS}/answer",
            "input": " ".join(rng.choices(_LEXICON, k=30)),
            "output": " ".join(rng.choices(_LEXICON, k=110)),
            "model": {"name": "m", "version": "v7"},
            "prompt": {"name": "answer", "version": str(version), "text": prompts[version]},
            "latency": {"total_s": 1.2},
            "usage": {"input_tokens": 340, "output_tokens": 210},
            "session": {"id": f"session-{number // 4}", "turn": number % 4 + 1},
            "trace": {"trace_id": f"{rng.getrandbits(128):032x}", "span_id": f"{rng.getrandbits(64):016x}"},
            "steps": [{"name": "retrieve", "duration_s": 0.1}, {"name": "generate", "duration_s": 1.0}],
            "calls": [{"dependency": "search", "duration_s": 0.12, "status": 200, "response": {"hits": [1, 2, 3]}}],
            "attributes": {"tenant": "north"},
        }


def messages(n: int, topic: str) -> list[tuple[str, Any]]:
    """The events as a consumer gives them, in eight partitions, all of one day."""
    noon = int(time.time() // _DAY_S) * _DAY_S + _DAY_S / 2
    made = []
    for number, event in enumerate(events(n)):
        place = {"partition": number % 8, "offset": number // 8, "timestamp": int(1000 * (noon + number * 0.01))}
        value = json.dumps(event).encode()
        made.append((topic, SimpleNamespace(value=value, key=None, headers=(), **place)))
    return made


def in_memory(address: str, given: Sequence[tuple[str, Any]]) -> dict[str, float]:
    """Events a second by the clock, of all batches and of the quickest, and CPU microseconds an event."""
    topics: Any = SimpleNamespace(
        outputs=TopicFacts("outputs", "outputs-id", 8),
        features=TopicFacts("features", "features-id", 8),
        alerts=TopicFacts("alerts", "alerts-id", 1),
        judgments=TopicFacts("judgments", "judgments-id", 1),
        feedback=TopicFacts("feedback", "feedback-id", 1),
    )
    maker, store = RowMaker(topics, Privacy()), open_store(address)
    rows_s = write_s = 0.0
    clock: list[float] = []
    for start in range(0, len(given), MAX_MESSAGES):
        began, cpu = time.perf_counter(), time.process_time()
        incoming = maker.rows(given[start : start + MAX_MESSAGES])
        made = time.process_time()
        store.write(incoming)
        rows_s += made - cpu
        write_s += time.process_time() - made
        clock.append(time.perf_counter() - began)
    assert maker.unreadable == 0
    store.close()
    quickest = sorted(clock)[: max(1, round(QUICKEST * len(clock)))]
    return {
        "rate": len(given) / sum(clock),
        "quickest": MAX_MESSAGES * len(quickest) / sum(quickest),
        "rows": 1e6 * rows_s / len(given),
        "write": 1e6 * write_s / len(given),
    }


def by_kafka(address: str, n: int, folder: Path) -> dict[str, float]:
    """Events a second of a worker with the role store, from its first row to its last."""
    from tests.brokers.apache import ApacheKafka
    from tests.kafka.conftest import installed

    with ApacheKafka() as broker:
        broker.session_timeout_s = 4.0
        for installation in installed(broker, folder):
            installation.with_sections({"store": {"location": address}})
            for start in range(0, n, 10_000):
                installation.publish(list(events(n))[start : start + 10_000])
            worker = installation.worker("store")
            seen: list[tuple[float, int]] = []
            while not seen or seen[-1][1] < n:
                time.sleep(0.1)
                count = _stored(address)
                if count and (not seen or count > seen[-1][1]):
                    seen.append((time.perf_counter(), count))
            cpu = _cpu_of(worker.pid)
            worker.stop()
            steps = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(seen))
            whole = (seen[-1][1] - seen[0][1]) / max(seen[-1][0] - seen[0][0], 1e-9)
            quickest = steps[-max(1, round(QUICKEST * len(steps))) :]
            return {"rate": whole, "quickest": sum(quickest) / len(quickest), "cpu": 1e6 * cpu / n}
    raise AssertionError("no installation")


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process, start included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def _stored(address: str) -> int:
    """Rows so far, by what the writer has committed."""
    if address.startswith("postgresql://"):
        engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
    elif (path := Path(address) / "index.sqlite").is_file():
        engine = create_engine(f"sqlite:///{path}")
    else:
        return 0
    try:
        with engine.connect() as connection:
            return int(connection.execute(text("select coalesce(sum(position), 0) from consumed")).scalar_one())
    except Exception:  # not made yet: the tables come with the worker's start
        return 0
    finally:
        engine.dispose()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--postgres", help="an empty database; without it a server is started")
    parser.add_argument("--kafka", action="store_true", help="end to end, through a real Apache Kafka")
    arguments = parser.parse_args()
    given = messages(arguments.events, "outputs")
    size = sum(len(message.value) for _, message in given) / len(given)
    table = Table(title=f"Trace store, {arguments.events:,} events of {size / 1000:.1f} KB, one worker")
    for head in ("store", "bar", "events/s", "quickest quarter", "CPU us: rows", "writing", "all"):
        table.add_column(head, justify="left" if head == "store" else "right")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oqm-bench-", dir="/tmp")))
        url = arguments.postgres
        if url is None:
            from tests.servers import postgres

            (folder / "pg").mkdir()
            url = stack.enter_context(postgres(folder / "pg"))
        for name, address in (("SQLite", str(folder / "traces")), ("PostgreSQL", url)):
            found = in_memory(address, given)
            cpu = [f"{each:.0f}" for each in (found["rows"], found["write"], found["rows"] + found["write"])]
            table.add_row(name, f"{BARS[name]:,}", f"{found['rate']:,.0f}", f"{found['quickest']:,.0f}", *cpu)
        if arguments.kafka:
            for name, address in (("SQLite", str(folder / "kafka")), ("PostgreSQL", _fresh(url))):
                (folder / name).mkdir()
                found = by_kafka(address, arguments.events, folder / name)
                rates = (f"{found['rate']:,.0f}", f"{found['quickest']:,.0f}")
                table.add_row(f"{name}, from Kafka", f"{BARS[name]:,}", *rates, "", "", f"{found['cpu']:.0f}")
        shutil.rmtree(folder / "traces", ignore_errors=True)
    Console(width=110).print(table)


def _fresh(url: str) -> str:
    """Another, empty database of the same server."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("create database from_kafka"))
    engine.dispose()
    return url.rpartition("/")[0] + "/from_kafka"


if __name__ == "__main__":
    main()
