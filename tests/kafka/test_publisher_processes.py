"""Events of forked, spawned and pooled children reach a real broker, though no child closes its publisher."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.kafka.installation import Installation
from tests.kafka.test_publisher import read

SCRIPT = Path(__file__).with_name("publishing_processes.py")
CHILDREN, EVENTS = 2, 50  # as in the script

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(sys.platform != "linux", reason="forks"),
]


def run(way: str, installation: Installation) -> None:
    # By name, not by address: resolving a name is what imports a codec.
    brokers = installation.settings.broker.bootstrap.replace("127.0.0.1", "localhost")
    command = [sys.executable, "-W", "ignore", str(SCRIPT), way, brokers, installation.settings.topics.outputs.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "not delivered" not in done.stderr
    assert "Traceback" not in done.stderr


def missing(starts: dict[str, int], installation: Installation) -> dict[str, int]:
    """Per way, how many ids of children's events did not arrive exactly as often as there were starts."""
    records = read(installation.settings.broker.bootstrap, installation.settings.topics.outputs.name)
    seen = Counter(record.key.decode() for record in records)
    wanted = ((way, f"{way}-{child}-{i}") for way in starts for child in range(CHILDREN) for i in range(EVENTS))
    return dict(Counter(way for way, key in wanted if seen[key] != starts[way]))


def test_children_that_end_without_closing_lose_nothing(on_kafka: Installation) -> None:
    ways = (
        "process-fork",
        "process-spawn",
        "process-forkserver",
        "passed-fork",
        "passed-spawn",
        "pool-fork",
        "pool-spawn",
        "executor-fork",
        "executor-spawn",
    )
    for way in ways:
        run(way, on_kafka)
    assert missing(dict.fromkeys(ways, 1), on_kafka) == {}


@pytest.mark.slow
def test_a_fork_at_any_moment_of_the_start_loses_nothing(on_kafka: Installation) -> None:
    starts = {"preload": 5, "connecting": 5}
    for way, times in starts.items():
        for _ in range(times):
            run(way, on_kafka)
    assert missing(starts, on_kafka) == {}


def test_no_thread_imports_anything_while_it_connects_and_sends(on_kafka: Installation) -> None:
    """A fork during such an import leaves a child that can never connect; the constructor imports all there is."""
    script = (
        "import sys, threading\n"
        "from monitor import OutputEvent, OutputPublisher\n"
        "publisher = OutputPublisher(sys.argv[1], sys.argv[2])\n"
        "imported = []\n"
        "def watch(event, details):\n"
        "    if event == 'import' and threading.current_thread() is not threading.main_thread():\n"
        "        imported.append(details[0])\n"
        "sys.addaudithook(watch)\n"
        "publisher.publish(OutputEvent(stream='bot', output='hi'))\n"
        "print(publisher.flush(30), imported, publisher.close())\n"
    )
    brokers = on_kafka.settings.broker.bootstrap.replace("127.0.0.1", "localhost")
    command = [sys.executable, "-c", script, brokers, on_kafka.settings.topics.outputs.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "True [] True\n", done.stderr
