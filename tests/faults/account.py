"""What must hold after the faults, counted from Kafka and the receiver alone, and printed as a table."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from kafka.consumer.fetcher import ConsumerRecord

from monitor.alerting.alert import decode, encode
from monitor.alerting.from_finding import from_finding
from monitor.detection.records.finding import State
from pipelines.build import featurizer_for, partition_monitor
from pipelines.kafka.producer import LogProducer
from pipelines.kafka.topics import read_topics
from pipelines.replay.replay import pass_over
from pipelines.state.checkpoint import DetectCheckpoint
from tests.faults.pager import Pager
from tests.kafka.installation import Installation


@dataclass
class Account:
    """Rows of the table, and what is wrong."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def row(self, what: str, value: object) -> None:
        """A fact that may be anything."""
        self.rows.append((what, f"{value:,}" if isinstance(value, int) else str(value)))

    def must(self, what: str, value: int, wanted: int) -> None:
        """A number that has to be another one."""
        self.rows.append((what, f"{value:,}" + (f"   WRONG: {wanted:,} expected" if value != wanted else "")))
        if value != wanted:
            self.wrong.append(f"{what}: {value:,} instead of {wanted:,}")

    def table(self) -> str:
        """Two columns."""
        width = max(len(what) for what, _ in self.rows)
        return "\n".join(f"{what:<{width}}  {value}" for what, value in self.rows)


def alerts_of_a_pass(installation: Installation) -> dict[str, bytes]:
    """By transition, the alerts of an undisturbed pass over the features log, as far as the workers have come in it."""
    settings = installation.settings
    topics = read_topics(settings.broker, settings.topics)
    checkpoint = DetectCheckpoint(settings.broker, LogProducer(settings.broker), topics)
    reached = asyncio.run(checkpoint.restore(range(topics.features.partitions)))
    logs: dict[int, list[ConsumerRecord]] = defaultdict(list)
    for record in installation.read(topics.features.name):
        if record.offset < reached[record.partition].position:
            logs[record.partition].append(record)
    specs = featurizer_for(settings).specs
    by_name = {spec.name: spec for spec in specs}
    found = {}
    for log in logs.values():
        for finding in pass_over(log, partition_monitor(settings, specs)):
            stream = settings.for_stream(finding.stream)
            alert = from_finding(finding, owner=stream.owner, route=stream.route, links=settings.links, specs=by_name)
            found[alert.transition] = encode(alert)
    return found


def alerts_told(installation: Installation) -> dict[str, list[bytes]]:
    """By transition, every record on the alerts' topic."""
    told: dict[str, list[bytes]] = defaultdict(list)
    for record in installation.read(installation.settings.topics.alerts.name):
        told[decode(record.value).transition].append(record.value)
    return dict(told)


def add_events(account: Account, installation: Installation, sent: Counter[str]) -> None:
    """Events applied, stream by stream, against those sent."""
    statuses = installation.statuses()
    applied = {stream: statuses[stream].events if stream in statuses else 0 for stream in sent}
    account.must("events applied", sum(applied.values()), sent.total())
    account.must("streams with another number than sent", sum(applied[s] != sent[s] for s in sent), 0)
    account.must("streams that nobody sent", len(statuses.keys() - sent.keys()), 0)
    account.row("repetitions recognised by id", sum(status.duplicates for status in statuses.values()))


def add_findings(account: Account, installation: Installation) -> None:
    """Alerts on their topic against those of an undisturbed pass, byte by byte."""
    told, passed = alerts_told(installation), alerts_of_a_pass(installation)
    account.row("transitions found by an undisturbed pass", len(passed))
    account.must("transitions on the alerts' topic", len(told), len(passed))
    account.must("... missing there", len(passed.keys() - told.keys()), 0)
    account.must("... that the pass has not", len(told.keys() - passed.keys()), 0)
    differing = (any(record != passed[key] for record in records) for key, records in told.items() if key in passed)
    account.must("... with other content", sum(differing), 0)
    account.row("... records repeated after a crash", sum(len(records) - 1 for records in told.values()))


def add_deliveries(account: Account, installation: Installation, pager: Pager) -> None:
    """What the receiver saw of each transition."""
    told, accepted, keys = alerts_told(installation), pager.accepted, pager.keys
    account.must("transitions that the receiver accepted", len(accepted), len(told))
    account.must("... never accepted", len(told.keys() - accepted.keys()), 0)
    account.must("... under more than one key", sum(len(found) != 1 for found in keys.values()), 0)
    account.must("... that share a key", len(keys) - len(set().union(*keys.values())), 0)
    account.must("... resolved before they fired", sum(1 for _ in _out_of_order(pager)), 0)
    account.row("... told as firing once more after they were told as resolved", _told_late(pager))
    account.row("posts to the receiver", len(pager.posts))
    account.row("... accepted again, under the same key", accepted.total() - len(accepted))
    for mood, count in sorted(pager.answers.items()):
        account.row(f"... answered: {mood.value}", count)


def _out_of_order(pager: Pager) -> Iterator[str]:
    """Alerts whose first accepted word was that they are over."""
    first: dict[str, str] = {}
    for post in pager.posts:
        if post.accepted:
            fingerprint, _, state = post.transition.partition(":")
            first.setdefault(fingerprint, state)
    return (fingerprint for fingerprint, state in first.items() if state == State.RESOLVED.value)


def _told_late(pager: Pager) -> int:
    """Posts, accepted or not, that said that an alert fires which the receiver knew to be over."""
    over, late = set[str](), 0
    for post in pager.posts:
        fingerprint, _, state = post.transition.partition(":")
        late += fingerprint in over and state.startswith(State.FIRING.value)
        if post.accepted and state == State.RESOLVED.value:
            over.add(fingerprint)
    return late


def add_dead_letters(account: Account, installation: Installation, malformed: int) -> None:
    """What could not be read, against what was sent of it."""
    letters = installation.read(installation.settings.topics.deadletter.name)
    different = {letter.key for letter in letters}
    account.must("malformed messages among the dead letters", len(different), malformed)
    account.row("... repeated after a crash", len(letters) - len(different))
