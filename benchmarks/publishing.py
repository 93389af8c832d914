"""What publishing costs an application: CPU of its process for each event, all threads, on real Apache Kafka.

    python -m benchmarks.publishing --repeat 3

Beside `json.dumps` and kafka-python's producer as they are, which an application without the publisher would use.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from rich.console import Console

from benchmarks import load
from benchmarks.report import Report

Texts: TypeAlias = "Sequence[tuple[str, str]]"
STREAM = "bench/answer"
BLOCK_S = 60.0
"""No event may be dropped: each that is given up would cost nothing."""


def _publisher(bootstrap: str, topic: str) -> Any:
    from monitor.publisher import OutputPublisher

    return OutputPublisher(bootstrap, topic=topic, block_s=BLOCK_S, strict=True)


def publish(bootstrap: str, topic: str, texts: Texts) -> None:
    """Events that the application has made itself."""
    from monitor.events.schema import OutputEvent

    publisher = _publisher(bootstrap, topic)
    for given, output in texts:
        publisher.publish(OutputEvent(stream=STREAM, input=given, output=output))
    publisher.close()


def record(bootstrap: str, topic: str, texts: Texts) -> None:
    """A function whose calls are recorded."""
    publisher = _publisher(bootstrap, topic)
    answers = iter(output for _, output in texts)

    @publisher.record(STREAM, model="m", prompt="p")  # type: ignore[untyped-decorator]
    def answer(question: str) -> str:
        return next(answers)

    for given, _ in texts:
        answer(given)
    publisher.close()


def bare(bootstrap: str, topic: str, texts: Texts) -> None:
    """`json.dumps`, and kafka-python's producer with its own settings."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, max_block_ms=BLOCK_S * 1000)
    for number, (given, output) in enumerate(texts):
        producer.send(topic, load.event(f"e{number}", STREAM, given, output), key=b"e%d" % number)
    producer.flush()
    producer.close()


WAYS: dict[str, Callable[[str, str, Texts], None]] = {
    "json.dumps and KafkaProducer": bare,
    "publisher.publish(event)": publish,
    "@publisher.record": record,
}


def measure(bootstrap: str, data: Path, repeat: int, report: Report) -> None:
    """Each way in turn, `repeat` times; medians."""
    texts = load.texts(data)
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for name, way in list(WAYS.items()) * repeat:
        with load.topics_of_their_own(bootstrap) as (_, topics):
            began = time.process_time()
            way(bootstrap, topics.outputs.name, texts)
            spent[name].append(1e6 * (time.process_time() - began) / len(texts))
    base = median(spent["json.dumps and KafkaProducer"])
    report.table(
        "What publishing costs an application",
        ("way", "CPU us an event", "times KafkaProducer"),
        [(name, f"{median(us):.0f}", f"{median(us) / base:.2f}") for name, us in spent.items()],
        note=f"{len(texts):,} outputs, {repeat} runs of each",
    )


def main() -> int:
    """Measure and print."""
    options = load.parser(__doc__, repeat=3).parse_args()

    from tests.brokers.apache import ApacheKafka

    report = Report(Console())
    with ApacheKafka() as broker:
        measure(broker.address, options.data, options.repeat, report)
    if options.markdown:
        report.write(options.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
