"""Events a second and core from Kafka to alert, beside a Faust agent that does nothing, in the same run.

    python benchmarks/throughput.py                     # alpacaeval outputs, real Apache Kafka on this machine
    python benchmarks/throughput.py --events 20000 --profile profile.pstats

What is measured is CPU seconds (user + system) of the worker's process, all its threads, per event: on a shared
machine the clock on the wall says nothing. Counting starts after the first half of the outputs, so that a running
worker is measured and not one with empty caches, and ends when the last event is applied. Up to 9,660 events the
second half are outputs never seen before; beyond that the file goes round, under new ids, and most words are known.
The broker and the publisher are processes of their own and not counted. All features and the static embedding are on;
checkpoints, alerts and ticks run as they do in production.

Data: `alpacaeval.jsonl.gz` (AlpacaEval's published model outputs, github.com/tatsu-lab/alpaca_eval), each output with
its instruction as input, spread over `--streams` streams.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core is a core: no threads of numpy's beside the one that counts

DATA = ROOT.parent / "shared" / "data" / "alpacaeval.jsonl.gz"


Run: TypeAlias = tuple[int, float, float, dict[str, float]]
"""Events, CPU seconds, wall seconds, CPU seconds of the worker thread by stage."""


@dataclass(frozen=True)
class Measured:
    """One worker's run."""

    name: str
    events: int
    cpu_s: float
    wall_s: float
    stages: dict[str, float]

    @property
    def us_per_event(self) -> float:
        """CPU microseconds per event."""
        """CPU microseconds of an event."""
        return 1e6 * self.cpu_s / self.events

    @property
    def events_per_core(self) -> float:
        """Events per CPU second."""
        """Events a second that one core carries."""
        return self.events / self.cpu_s


def payloads(data: Path, count: int, streams: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of `count` events: the outputs in the file, shuffled, round and round, under ids of their own."""
    from monitor.errors import InvalidEvent
    from monitor.events.files import read_events

    events = [event for event in read_events(data) if not isinstance(event, InvalidEvent)]
    # Every model's outputs in both halves: the file has them model by model.
    random.Random(0).shuffle(events)
    for number, event in enumerate(islice(cycle(events), count)):
        record = {
            "id": f"e{number}",
            "stream": f"bench-{number % streams}/answer",
            "time": time.time(),
            "model": {"name": "assistant", "version": "1"},
            "input": event.input,
            "output": event.output,
            "latency": {"total_s": 0.5 + (number % 100) / 100},
            "usage": {"input_tokens": 100, "output_tokens": 300},
        }
        yield f"e{number}".encode(), json.dumps(record).encode()


def publish(bootstrap: str, topic: str, data: Path, count: int, streams: int) -> None:
    """Fill the topic."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=2**18, acks=1)
    for key, value in payloads(data, count, streams):
        producer.send(topic, value, key=key)
    producer.flush()
    producer.close()


def cpu_seconds() -> float:
    """User and system time of this process, all its threads."""
    times = os.times()
    return times.user + times.system


async def run_monitor(bootstrap: str, run: str, warm: int, count: int) -> Run:
    """The worker with all three agents, as `oqm worker` runs it."""
    from monitor.settings import Broker, Settings
    from pipelines.topics import private_topics
    from pipelines.worker import Worker

    settings = Settings()
    settings = settings.model_copy(
        update={"broker": Broker(bootstrap=bootstrap), "topics": private_topics(settings.topics, run)}
    )
    worker = Worker(settings, sinks=[])
    working = asyncio.create_task(worker.run())
    stats = worker.stats
    while stats.messages["featurize"] < warm:
        await _breathe(working)
    before, started, wall, busy = stats.messages["featurize"], cpu_seconds(), time.monotonic(), dict(stats.busy_s)
    while stats.messages["featurize"] < count or not worker.caught_up():
        await _breathe(working)
    cpu, wall = cpu_seconds() - started, time.monotonic() - wall
    worker.stop()
    await working
    stages = {stage: seconds - busy.get(stage, 0.0) for stage, seconds in stats.busy_s.items()}
    return count - before, cpu, wall, stages


async def run_nothing(bootstrap: str, run: str, warm: int, count: int) -> Run:
    """A Faust agent that takes each event and does nothing, with Faust's defaults but for what cannot be otherwise."""
    import faust

    from monitor.settings import Settings
    from pipelines.topics import private_topics

    topic_name = private_topics(Settings().topics, run).outputs.name
    app = faust.App(
        f"nothing-{run}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        datadir=tempfile.mkdtemp(),
        loop=asyncio.get_running_loop(),
    )
    topic = app.topic(topic_name, value_type=bytes, value_serializer="raw")
    seen = 0

    async def nothing(stream: Any) -> None:
        nonlocal seen
        async for _ in stream:
            seen += 1

    app.agent(topic)(nothing)
    await app.start()
    while seen < warm:  # noqa: ASYNC110  an event per message would be work
        await asyncio.sleep(0.05)
    before, started, wall = seen, cpu_seconds(), time.monotonic()
    while seen < count:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    cpu, wall = cpu_seconds() - started, time.monotonic() - wall
    await app.stop()
    return count - before, cpu, wall, {}


async def _breathe(working: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.05)
    if working.done():
        working.result()
        raise SystemExit("the worker ended before its work did")


RUNS: dict[str, Callable[[str, str, int, int], Awaitable[Run]]] = {"monitor": run_monitor, "nothing": run_nothing}


def _child(
    name: str, bootstrap: str, run: str, warm: int, count: int, profile: str | None, answer: Connection[Run, Run]
) -> None:
    import cProfile
    import logging

    logging.basicConfig(level=logging.ERROR)
    coroutine = RUNS[name](bootstrap, run, warm, count)
    if profile is None:
        answer.send(asyncio.run(coroutine))
        return
    profiler = cProfile.Profile(time.process_time)
    answer.send(profiler.runcall(asyncio.run, coroutine))
    profiler.dump_stats(profile)


def measure(name: str, bootstrap: str, run: str, warm: int, count: int, profile: str | None = None) -> Measured:
    """One run in a fresh process."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(name, bootstrap, run, warm, count, profile, theirs))
    process.start()
    theirs.close()
    events, cpu, wall, stages = mine.recv()
    process.join()
    return Measured(name, events, cpu, wall, stages)


def table(results: list[Measured]) -> str:
    """The results as Markdown."""
    nothing = next((result for result in results if result.name == "nothing"), None)
    rows = [
        "| worker | events | CPU s | us / event | events / s and core | share of the no-op agent |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        share = "" if nothing is None else f"{result.events_per_core / nothing.events_per_core:.2f}"
        rows.append(
            f"| {result.name} | {result.events:,} | {result.cpu_s:.2f} | {result.us_per_event:.0f} | "
            f"{result.events_per_core:,.0f} | {share} |"
        )
        rows += [
            f"| - {stage}, in the worker thread | {result.events:,} | {seconds:.2f} | "
            f"{1e6 * seconds / result.events:.0f} | {result.events / seconds:,.0f} | |"
            for stage, seconds in sorted(result.stages.items())
        ]
    return "\n".join(rows)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=9_660, help="published, the first half to warm up")
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median is shown")
    parser.add_argument("--broker", help="a broker that runs already; a fresh Apache Kafka by default")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--profile", metavar="FILE", help="write cProfile statistics of the monitor's main thread")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is not there: fetch AlpacaEval's outputs, or give --data", file=sys.stderr)
        return 2
    import contextlib

    from monitor.settings import Broker, Settings
    from pipelines.brokers import ApacheKafka
    from pipelines.topics import delete_topics, ensure_topics, private_topics

    results: dict[str, list[Measured]] = {name: [] for name in RUNS}
    with contextlib.ExitStack() as stack:
        bootstrap = options.broker or stack.enter_context(ApacheKafka()).address
        broker = Broker(bootstrap=bootstrap)
        for _ in range(options.repeat):
            run = uuid.uuid4().hex[:8]
            topics = private_topics(Settings().topics, run)
            ensure_topics(broker, topics)
            publish(bootstrap, topics.outputs.name, options.data, options.events, options.streams)
            for name in RUNS:
                profile = options.profile if name == "monitor" else None
                results[name].append(measure(name, bootstrap, run, options.events // 2, options.events, profile))
            delete_topics(broker, topics)
    medians = [sorted(runs, key=lambda result: result.cpu_s)[len(runs) // 2] for runs in results.values()]
    print(table(medians))
    return 0


if __name__ == "__main__":
    sys.exit(main())
