"""A real Apache Kafka on this machine, without Docker: KRaft, one process as broker and controller.

Its jars come by Maven once and are kept under `~/.cache/oqm`; Java 17 runs them. By hand:
`python -m tests.brokers.apache --port 9092`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from monitor.demo.broker_process import BrokerProcess, free_port
from monitor.errors import BrokerError

VERSION = "4.1.0"
_CLUSTER_ID = "b3FtLXRlc3QtY2x1c3Rlcg"  # 16 bytes, base64url: any will do for a cluster of one
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>oqm</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>
"""
_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
num.partitions=4
"""


def cache_folder() -> Path:
    """Where the jars are kept: `$XDG_CACHE_HOME/oqm` or `~/.cache/oqm`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oqm"


def missing_tools() -> str | None:
    """What of Java 17 and Maven is missing, as one sentence, or None where Kafka can be started."""
    java = shutil.which("java")
    if java is None:
        return "Java 17 or later is not installed (`java` is not on the PATH)"
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', shown)
    if version is None or int(version.group(1)) < 17:
        return f"Apache Kafka {VERSION} needs Java 17 or later; `java -version` says: {shown.splitlines()[:1]}"
    if not _jars_complete() and shutil.which("mvn") is None:
        return "Maven is not installed (`mvn` is not on the PATH), and Kafka's jars are not in the cache yet"
    return None


def _jar_folder() -> Path:
    return cache_folder() / f"kafka-{VERSION}"


def _jars_complete() -> bool:
    return (_jar_folder() / ".complete").exists()


def fetch_jars() -> Path:
    """Folder with Kafka's jars, fetched by Maven on the first call (45 jars, 43 MB).

    Raises `BrokerError` where Maven fails; its last lines are in the message.
    """
    folder = _jar_folder()
    if not _jars_complete():
        folder.mkdir(parents=True, exist_ok=True)
        pom = folder / "pom.xml"
        pom.write_text(_POM)
        done = subprocess.run(
            [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(pom),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={folder}",
                "-DincludeScope=runtime",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerError(f"Maven could not fetch Apache Kafka {VERSION}:\n{(done.stdout + done.stderr)[-800:]}")
        (folder / ".complete").touch()
    return folder


class ApacheKafka(BrokerProcess):
    """Apache Kafka in KRaft mode on 127.0.0.1. A folder that was formatted before is used again (restart test)."""

    name = f"Apache Kafka {VERSION}"
    session_timeout_s = 60.0

    def signal(self, number: signal.Signals) -> None:
        """Send the broker a signal. Raises `BrokerError` where it does not run."""
        os.kill(self.pid, number)

    def server_properties(self) -> str:
        """The text of `server.properties`; tests start one with other listeners."""
        return _PROPERTIES.format(port=self.port, controller=free_port(), data=self.folder / "data")

    def command(self) -> Sequence[str]:
        """Write the properties, format the log folder if that was not done yet, and return Kafka's command line."""
        if missing := missing_tools():
            raise BrokerError(missing)
        classpath = f"{fetch_jars()}/*"
        java = ["java", "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC"]
        properties = self.folder / "server.properties"
        if not properties.exists():
            properties.write_text(self.server_properties())
            formatted = subprocess.run(
                [
                    *java,
                    "-cp",
                    classpath,
                    "kafka.tools.StorageTool",
                    "format",
                    "-t",
                    _CLUSTER_ID,
                    "-c",
                    str(properties),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if formatted.returncode:
                raise BrokerError(f"Kafka's log folder could not be formatted: {formatted.stderr[-400:]}")
        return [*java, "-cp", classpath, "kafka.Kafka", str(properties)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run Kafka in the foreground until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers.apache", description=__doc__)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--folder", type=Path, default=None, help="data and log; a temporary folder by default")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ApacheKafka(options.port, options.folder) as broker:
            print(f"{broker.name} on {broker.address}, log in {broker.log}", file=sys.stderr, flush=True)
            stop.wait()
    except BrokerError as error:
        print(f"oqm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
