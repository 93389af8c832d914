"""What the throughput benchmarks put on Kafka, and the processes that take it off: a worker, or an agent doing nothing.

What is measured is CPU seconds (user + system) of a process, all its threads: on a shared machine the clock on the wall
says nothing. The broker and the publisher are processes of their own and not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from monitor.settings import Topics

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "alpacaeval.jsonl.gz"
_EVERY_S = 0.05


def parser(description: str | None, repeat: int) -> argparse.ArgumentParser:
    """The options that benchmarks on AlpacaEval's outputs share; a file that is not there ends them with status 2."""

    def outputs(path: str) -> Path:
        if not Path(path).exists():
            raise argparse.ArgumentTypeError(f"{path} is not there: fetch AlpacaEval's outputs, or give --data")
        return Path(path)

    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--repeat", type=int, default=repeat, help="runs of each, in turn; medians are shown")
    made.add_argument("--data", type=outputs, default=str(DATA), help="AlpacaEval's outputs")
    made.add_argument("--markdown", type=Path, help="write the tables there too")
    return made


def texts(data: Path) -> list[tuple[str, str]]:
    """Input and output of each record of AlpacaEval's outputs, shuffled: the file has them model by model."""
    from monitor.errors import InvalidEvent
    from monitor.events.files.reader import read_events

    events = [event for event in read_events(data) if not isinstance(event, InvalidEvent)]
    random.Random(0).shuffle(events)
    return [(event.input or "", event.output or "") for event in events]


def event(event_id: str, stream: str, given: str, output: str, number: int = 0) -> bytes:
    """One event as an application would publish it now."""
    record = {
        "id": event_id,
        "stream": stream,
        "time": time.time(),
        "model": {"name": "assistant", "version": "1"},
        "input": given,
        "output": output,
        "latency": {"total_s": 0.5 + (number % 100) / 100},
        "usage": {"input_tokens": 100, "output_tokens": 300},
    }
    return json.dumps(record).encode()


def payloads(data: Path, count: int, streams: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of `count` events: the outputs in the file, round and round, under ids of their own."""
    for number, (given, output) in enumerate(islice(cycle(texts(data)), count)):
        yield f"e{number}".encode(), event(f"e{number}", f"bench-{number % streams}/answer", given, output, number)


def publish(bootstrap: str, topic: str, data: Path, count: int, streams: int) -> None:
    """Fill the topic."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=2**18, acks=1)
    for key, value in payloads(data, count, streams):
        producer.send(topic, value, key=key)
    producer.flush()
    producer.close()


@contextlib.contextmanager
def topics_of_their_own(bootstrap: str) -> Iterator[tuple[str, Topics]]:
    """The name of a run and its topics, deleted afterwards."""
    from monitor.settings import Broker, Settings
    from pipelines.kafka.topics import private_topics, temporary_topics

    run = uuid.uuid4().hex[:8]
    topics = private_topics(Settings().topics, run)
    with temporary_topics(Broker(bootstrap=bootstrap), topics):
        yield run, topics


@dataclass(frozen=True)
class Progress:
    """What a process has done since its start: events read and applied, CPU seconds in all and by stage."""

    ready: bool = False
    read: int = 0
    applied: int = 0
    cpu_s: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    resident_mb: float = 0.0


Telling: TypeAlias = "Connection[Progress, None]"


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


EVALUATOR = "OQM_BENCHMARK_EVALUATOR"
"""Variable with the URL of the evaluator that `drawn` and `judged` name in their settings."""
SHARE = 0.02
"""Of the outputs that are drawn there: the default of `sample.uniform`."""


async def monitor_worker(bootstrap: str, run: str, telling: Telling) -> None:
    """The worker with all three agents, as `oqm worker` runs it, until the other end is closed."""
    await _worker(bootstrap, run, telling, {}, judge=False)


async def drawn_worker(bootstrap: str, run: str, telling: Telling) -> None:
    """The same, which draws outputs for an evaluator; the judge is another process, which is not run."""
    await _worker(bootstrap, run, telling, judging(), judge=False)


async def judged_worker(bootstrap: str, run: str, telling: Telling) -> None:
    """The same with the judge in the same process."""
    await _worker(bootstrap, run, telling, judging(), judge=True)


def judging() -> dict[str, Any]:
    """Sections of the settings by which outputs are drawn for an evaluator."""
    criterion = {"name": "good", "pass": "answers what was asked", "evaluator": "main", "sample": {"uniform": SHARE}}
    evaluator = {"kind": "chat", "name": "main", "url": os.environ[EVALUATOR], "model": "scripted", "concurrency": 8}
    return {"streams": [{"match": "*", "criteria": [criterion]}], "evaluators": [evaluator]}


async def _worker(bootstrap: str, run: str, telling: Telling, sections: dict[str, Any], *, judge: bool) -> None:
    from monitor.settings import Broker, Settings
    from pipelines.kafka.topics import private_topics
    from pipelines.roles import Role
    from pipelines.worker import Worker

    settings = Settings.model_validate(sections)
    settings = settings.model_copy(
        update={"broker": Broker(bootstrap=bootstrap), "topics": private_topics(settings.topics, run)}
    )
    worker = Worker(settings, [role for role in Role if judge or role is not Role.JUDGE], sinks=[])
    working = asyncio.create_task(worker.run())
    stats = worker.stats

    def progress() -> Progress:
        applied = int(stats.delay.buckets()[-1][1])
        busy = dict(stats.busy_s)
        return Progress(stats.ready, stats.messages["featurize"], applied, _cpu_seconds(), busy, _resident_mb())

    await _tell(telling, progress, working)
    worker.stop()
    await working


async def nothing_worker(bootstrap: str, run: str, telling: Telling) -> None:
    """A Faust agent that takes each event and does nothing, with Faust's defaults but for what cannot be otherwise."""
    import faust

    from monitor.settings import Settings
    from pipelines.kafka.topics import private_topics

    app = faust.App(
        f"nothing-{run}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        datadir=tempfile.mkdtemp(),
        loop=asyncio.get_running_loop(),
    )
    topic = app.topic(private_topics(Settings().topics, run).outputs.name, value_type=bytes, value_serializer="raw")
    seen = 0

    async def nothing(stream: Any) -> None:
        nonlocal seen
        async for _ in stream:
            seen += 1

    app.agent(topic)(nothing)
    await app.start()
    await _tell(telling, lambda: Progress(True, seen, seen, _cpu_seconds(), {}, _resident_mb()), None)
    await app.stop()


async def _tell(telling: Telling, progress: Callable[[], Progress], working: asyncio.Task[None] | None) -> None:
    with contextlib.suppress(BrokenPipeError):
        while True:
            telling.send(progress())
            await asyncio.sleep(_EVERY_S)
            if working is not None and working.done():
                working.result()
                raise SystemExit("the worker ended before its work did")


WORKERS = {
    "monitor": monitor_worker,
    "drawn": drawn_worker,
    "judged": judged_worker,
    "nothing": nothing_worker,
}


def _child(name: str, bootstrap: str, run: str, telling: Telling, profile: str | None) -> None:
    import cProfile

    logging.basicConfig(level=logging.CRITICAL)
    coroutine = WORKERS[name](bootstrap, run, telling)
    if profile is None:
        asyncio.run(coroutine)
        return
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(asyncio.run, coroutine)
    profiler.dump_stats(profile)


class Workers:
    """`count` processes of one kind on the topics of `run`, stopped on leaving.

    `profile`: a file for cProfile's statistics of the (only) process' main thread.
    """

    def __init__(self, name: str, bootstrap: str, run: str, count: int = 1, profile: str | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self._latest = [Progress()] * count
        self._lines: list[Connection[None, Progress]] = []
        self._processes: list[BaseProcess] = []
        for _ in range(count):
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(name, bootstrap, run, theirs, profile))
            process.start()
            theirs.close()
            self._lines.append(mine)
            self._processes.append(process)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.join()

    def look(self, wait_s: float = 0.0) -> list[Progress]:
        """What the processes have done as they last said. Raises `EOFError` where one has ended."""
        while lines := wait(self._lines, wait_s):
            for number, line in enumerate(self._lines):
                if line in lines:
                    self._latest[number] = line.recv()
            wait_s = 0.0
        return list(self._latest)

    def until(self, condition: Callable[[Sequence[Progress]], bool]) -> list[Progress]:
        """Wait until this holds of what the processes have done; gives that. Raises `EOFError` where one has ended."""
        while not condition(self._latest):
            self.look(1.0)
        return list(self._latest)


@dataclass(frozen=True)
class Measured:
    """What some workers did between two moments.

    featurize runs ahead of detect, so between two moments it has read other events than detect has applied: the time
    of a stage is divided by its own events, and what belongs to neither by the fewer.
    """

    name: str
    read: int
    applied: int
    cpu_s: float
    stages: dict[str, float]
    resident_mb: float

    @property
    def stage_us(self) -> dict[str, float]:
        """CPU microseconds of an event in the worker thread, by stage."""
        events = {"featurize": self.read, "detect": self.applied}
        return {stage: 1e6 * self.stages[stage] / count for stage, count in events.items() if stage in self.stages}

    @property
    def us_per_event(self) -> float:
        """CPU microseconds of an event."""
        rest = self.cpu_s - sum(self.stages.values())
        return sum(self.stage_us.values()) + 1e6 * rest / min(self.read, self.applied)


def between(name: str, before: Sequence[Progress], after: Sequence[Progress]) -> Measured:
    """All the workers together."""
    pairs = list(zip(before, after, strict=True))
    return Measured(
        name,
        sum(b.read - a.read for a, b in pairs),
        sum(b.applied - a.applied for a, b in pairs),
        sum(b.cpu_s - a.cpu_s for a, b in pairs),
        {stage: sum(b.stages[stage] - a.stages.get(stage, 0.0) for a, b in pairs) for stage in after[0].stages},
        max(progress.resident_mb for progress in after),
    )
