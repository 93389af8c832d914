"""`python -m tests.faults.run --kills 20 --seed 6`: the whole script of faults on a real Kafka, and its account.

Exit code 0 where everything was counted once, 1 where something was lost, doubled or differed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from monitor.settings import Broker, Settings
from pipelines.kafka.topics import ensure_topics, private_topics
from tests.brokers.apache import ApacheKafka
from tests.faults.account import (
    Account,
    add_dead_letters,
    add_deliveries,
    add_events,
    add_findings,
    alerts_told,
)
from tests.faults.chaos import Chaos, Fault
from tests.faults.pager import Pager
from tests.faults.traffic import Traffic
from tests.kafka.installation import Installation

SESSION_S = 6.0


@contextmanager
def installed(broker: ApacheKafka, pager: Pager, folder: Path) -> Iterator[Installation]:
    """The monitor on topics of its own, telling `pager`."""
    sections = {
        "detection": {"warmup": 100, "mature": 0, "recovery": 50},
        "worker": {"checkpoint_interval": "1s", "featurize_batch": 64},
        # Alerts come and go by design here: each is to be told.
        "alerting": {"flapping": {"after": 1_000}},
        "delivery": {"first_retry": "200ms", "longest_retry": "2s"},
        "sinks": [{"type": "webhook", "url": f"{pager.url}/alerts", "min_severity": "info", "timeout": "1s"}],
    }
    settings = Settings.model_validate(sections)
    topics = private_topics(settings.topics, uuid.uuid4().hex[:8])
    settings = settings.model_copy(update={"broker": Broker(bootstrap=broker.address), "topics": topics})
    ensure_topics(settings.broker, settings.topics)
    sinks = {name: sections[name] for name in ("alerting", "delivery", "sinks")}
    installation = Installation(settings, SESSION_S, folder, sections=sinks)
    try:
        yield installation
    finally:
        installation.close()


def account_of(
    folder: Path,
    *,
    kills: int,
    seed: int,
    workers: int = 2,
    streams: int = 20,
    rate: float = 250.0,
    say: Callable[[str], None] = print,
) -> Account:
    """Let the faults happen while events flow, wait until all is done, and count.

    Parameters
    ----------
    folder
        For logs of broker and workers.
    kills
        Workers killed or frozen.
    seed
        Decides everything that is not the machine's doing.
    workers, streams
        How many.
    rate
        Events a second.
    say
        Told what happens.
    """
    account, began = Account(), time.monotonic()
    with ApacheKafka(folder=folder / "kafka") as broker, Pager() as pager, installed(broker, pager, folder) as monitor:
        chaos = Chaos(monitor, broker, pager, kills=kills, seed=seed, say=say)
        traffic = Traffic(monitor, streams, rate, seed)
        chaos.begin(workers)
        traffic.start()
        chaos.run()
        traffic.finish()
        say(f"{time.monotonic() - began:.0f} s: the faults are over, {traffic.sent.total():,} events are in Kafka")
        monitor.wait_for_events(dict(traffic.sent), timeout_s=300)
        # A tick may find something at any time: until nothing new came while the workers stopped.
        while True:
            monitor.wait_for("deliveries", lambda: alerts_told(monitor).keys() <= pager.accepted.keys(), 120)
            chaos.end()
            if alerts_told(monitor).keys() <= pager.accepted.keys():
                break
            chaos.begin(workers)
        for fault in Fault:
            account.row(fault.value, chaos.done[fault])
        account.row("workers that ended by themselves, by exit code", dict(chaos.exits) or "none")
        account.must("workers that were asked to stop and did not exit with 0", len(chaos.bad_exits), 0)
        account.row("events sent, in streams", f"{traffic.sent.total():,} in {len(traffic.sent)}")
        account.row("... sent again", traffic.repeated)
        account.row("... batches out of order", traffic.reordered)
        account.must("... not taken by the broker", traffic.undelivered, 0)
        add_events(account, monitor, traffic.sent)
        add_dead_letters(account, monitor, traffic.malformed)
        add_findings(account, monitor)
        add_deliveries(account, monitor, pager)
    account.row("seconds", round(time.monotonic() - began))
    return account


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="workers killed or frozen (20)")
    parser.add_argument("--seed", type=int, default=6, help="decides what happens when (6)")
    parser.add_argument("--workers", type=int, default=2, help="workers at the start (2)")
    parser.add_argument("--streams", type=int, default=20, help="streams (20)")
    parser.add_argument("--rate", type=float, default=250.0, help="events a second (250)")
    parser.add_argument("--folder", type=Path, default=None, help="keep the logs of broker and workers there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="oqm-faults-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        account = account_of(
            folder,
            kills=options.kills,
            seed=options.seed,
            workers=options.workers,
            streams=options.streams,
            rate=options.rate,
        )
    print(f"\n{account.table()}")
    for wrong in account.wrong:
        print(f"WRONG: {wrong}")
    return 1 if account.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
