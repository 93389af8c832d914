"""Everything an operator can set, typed, with its default and its meaning: `config/monitor.yaml` read into `Settings`.

Each default stands beside its field; an empty file, or none, gives them all. The documented `config/monitor.yaml` is
written from these models (`python -m scripts.settings_example`). May not be imported by `monitor.sinks`,
`monitor.telemetry` or anything below them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from monitor.alerting.lifecycle.flapping import FlapDamping
from monitor.alerting.lifecycle.maintenance import MaintenanceWindow
from monitor.alerting.rendering.links import LinkTemplates
from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError, first_sentence
from monitor.config_values.secret_files import SecretText, secrets_from_files
from monitor.criteria.criterion import Criterion
from monitor.detection.settings import DetectionSettings
from monitor.errors import ConfigError
from monitor.settings.yaml_loader import parse
from monitor.sinks.log.config import LogSinkConfig
from monitor.sinks.registry import SinkSettings
from monitor.store.privacy import Keep, Privacy

TopicName = Annotated[
    str, matching(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}", "a topic's name: 1 to 249 letters, digits, dots, _ and -")
]
TokenProvider = Annotated[
    str, matching(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "package.module:function, such as our.auth:token")
]


class Part(BaseModel):
    """One section of the file: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sasl(Part):
    """How the client proves who it is."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism"
    )
    username: str | None = Field(None, description="user name")
    password: SecretText | None = Field(None, description="better ${NAME}, read from the environment, than here")
    password_file: str | None = Field(None, description="or a file that holds it")
    token_provider: TokenProvider | None = Field(
        None, description="of OAUTHBEARER: a Python function, package.module:function, that returns a valid token"
    )

    _secrets = secrets_from_files("password")


class Ssl(Part):
    """Certificates, as PEM files."""

    ca_file: str | None = Field(None, description="authorities to trust; none: the system's")
    cert_file: str | None = Field(None, description="the client's own certificate, for mutual TLS")
    key_file: str | None = Field(None, description="its key")
    key_password: SecretText | None = Field(None, description="password of that key")
    key_password_file: str | None = Field(None, description="or a file that holds it")
    check_hostname: bool = Field(True, description="whether the broker's certificate must name its host")

    _secrets = secrets_from_files("key_password")


class Broker(Part):
    """How to reach Kafka."""

    bootstrap: str = Field("127.0.0.1:9092", min_length=1, description="host:port[,host:port...]; --broker wins")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="the listener's security protocol"
    )
    sasl: Sasl = Field(default_factory=Sasl)
    ssl: Ssl = Field(default_factory=Ssl)

    @model_validator(mode="after")
    def _complete(self) -> Broker:
        for address in self.bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise MisplacedError("bootstrap must be host:port, or several with commas between", "bootstrap")
        oauth = self.sasl.mechanism == "OAUTHBEARER"
        if self.sasl.token_provider and not oauth:
            raise MisplacedError(f"is of mechanism OAUTHBEARER, not {self.sasl.mechanism}", "sasl", "token_provider")
        if self.security.startswith("SASL"):
            if oauth and not self.sasl.token_provider:
                raise MisplacedError("mechanism OAUTHBEARER needs sasl.token_provider", "sasl", "mechanism")
            if not oauth and not (self.sasl.username and self.sasl.password):
                raise MisplacedError(
                    f"security {self.security} needs sasl.username and sasl.password (or password_file)", "security"
                )
        if self.ssl.key_file and not self.ssl.cert_file:
            raise MisplacedError("ssl.key_file needs ssl.cert_file", "ssl", "key_file")
        return self


class Topic(Part):
    """One topic that holds its messages for a time."""

    name: TopicName
    partitions: int = Field(8, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(7 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class OutputsTopic(Topic):
    """Model outputs, as applications publish them; keyed by event id."""

    name: TopicName = Field("oqm.outputs", description="topic's name")


class FeaturesTopic(Topic):
    """Feature rows and control rows: the order of record. One owner per partition."""

    name: TopicName = Field("oqm.features", description="topic's name")
    partitions: int = Field(
        8, ge=1, le=10_000, description="detect partitions; a checkpoint is bound to their number (oqm topics says how)"
    )


class AlertsTopic(Topic):
    """Transitions of alerts as JSON, keyed by alert id."""

    name: TopicName = Field("oqm.alerts", description="topic's name")
    partitions: int = Field(1, ge=1, le=10_000, description="alerts are few; incidents are grouped within a partition")
    retention: Duration = Field(90 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class DeadLetterTopic(Topic):
    """Messages that could not be read: their original bytes, the reason in headers."""

    name: TopicName = Field("oqm.deadletter", description="topic's name")
    partitions: int = Field(1, ge=1, le=10_000, description="number of partitions")
    retention: Duration = Field(30 * 86_400.0, gt=0, validate_default=True, description="how long messages are kept")


class StateTopic(Part):
    """Checkpoints of detect and positions of featurize: compacted; a stream's are removed when it ends."""

    name: TopicName = Field("oqm.state", description="topic's name")


class OutboxTopic(Part):
    """What notify has delivered, per alert, transition and sink: compacted; removed 14 days after an alert is over."""

    name: TopicName = Field("oqm.outbox", description="topic's name")


class Topics(Part):
    """The Kafka topics; `oqm topics` creates them."""

    replication: int = Field(1, ge=1, le=32, description="copies of each topic; 3 in production")
    outputs: OutputsTopic = Field(default_factory=OutputsTopic)
    features: FeaturesTopic = Field(default_factory=FeaturesTopic)
    alerts: AlertsTopic = Field(default_factory=AlertsTopic)
    deadletter: DeadLetterTopic = Field(default_factory=DeadLetterTopic)
    state: StateTopic = Field(default_factory=StateTopic)
    outbox: OutboxTopic = Field(default_factory=OutboxTopic)

    @model_validator(mode="after")
    def _distinct(self) -> Topics:
        names = [t.name for t in (self.outputs, self.features, self.alerts, self.deadletter, self.state, self.outbox)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            parts = ("outputs", "features", "alerts", "deadletter", "state", "outbox")
            later = [part for part, name in zip(parts, names, strict=True) if name == twice[0]]
            given = [part for part in later if part in self.model_fields_set]
            at = (given or later)[-1]
            raise MisplacedError(f"two topics have the same name: {', '.join(twice)}", at, "name")
        return self


def _off(value: object) -> object:
    """YAML 1.1 reads a bare `off` as false."""
    return "off" if value is False else value


class Features(Part):
    """What featurize measures."""

    families: tuple[str, ...] = Field(
        ("*",), min_length=1, description="globs of the families to compute (length, format, tone, ...)"
    )
    embedding: Annotated[str, BeforeValidator(_off)] = Field(
        "static",
        min_length=1,
        description="static (shipped table), off, or a sentence-transformers model by name or folder (the extra)",
    )
    excerpts: bool = Field(True, description="carry masked excerpts of 160 characters to the alerts; off: none")


class Alerting(Part):
    """How findings become alerts."""

    owner: str = Field("", description="who answers for a stream that names nobody")
    route: str = Field("default", min_length=1, description="which sinks get a stream's alerts (sinks[].routes)")
    group_window: Duration = Field(
        1_800.0, gt=0, validate_default=True, description="same cause in several streams within it: one incident"
    )
    flapping: FlapDamping = Field(default_factory=FlapDamping)


class StreamOverride(DetectionSettings):
    """Settings of the streams whose name matches a glob; every key of `detection` may stand here too."""

    match: str = Field(min_length=1, description="glob on the stream's name")
    owner: str | None = Field(None, description="who answers for these streams")
    route: str | None = Field(None, min_length=1, description="which sinks get their alerts (sinks[].routes)")
    criteria: tuple[Criterion, ...] = Field(
        (), max_length=100, description="what is expected of each output; a later entry of the same name replaces it"
    )

    @model_validator(mode="after")
    def _different_names(self) -> StreamOverride:
        names = [criterion.name for criterion in self.criteria]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise MisplacedError(f"two criteria have the name {name}", "criteria", index, "name")
        return self


class StreamSettings(Part):
    """What holds for one stream after all overrides."""

    stream: str
    owner: str
    route: str
    detection: DetectionSettings


class Delivery(Part):
    """How notify tries again when a receiver fails."""

    first_retry: Duration = Field(1.0, gt=0, validate_default=True, description="wait after the first failure")
    longest_retry: Duration = Field(300.0, gt=0, validate_default=True, description="the wait doubles up to this")
    give_up_after: Duration = Field(
        86_400.0, gt=0, validate_default=True, description="then the transition counts as failed for good"
    )


class DeadLetters(Part):
    """When the monitor itself fails on too much to go on quietly; malformed messages stop nothing."""

    max_share: float = Field(
        0.9, gt=0, le=1, description="share of messages that processing fails on that stops the worker; 1: never"
    )
    window: int = Field(10_000, ge=100, description="over so many of the latest messages")


class Worker(Part):
    """The Faust worker."""

    featurize_batch: int = Field(1024, ge=1, le=10_000, description="most events in a micro-batch")
    featurize_linger: Duration = Field(
        0.05, ge=0, le=60, validate_default=True, description="longest wait for a micro-batch to fill"
    )
    detect_batch: int = Field(64, ge=1, le=10_000, description="most messages detect takes at once")
    max_streams: int = Field(
        20_000, ge=1, description="stream names per detect partition; rows of further ones go to the dead letters"
    )
    checkpoint_interval: Duration = Field(
        10.0,
        gt=0,
        le=3600,
        validate_default=True,
        description="how often detect writes what changed; at most a tenth of its time",
    )
    stuck_after: Duration = Field(
        300.0,
        gt=0,
        le=86_400,
        validate_default=True,
        description="without a step for so long, though Kafka answers, it exits (code 70) to be started again",
    )
    dead_letters: DeadLetters = Field(default_factory=DeadLetters)


class Store(Part):
    """The trace store: every output with what is known of it, for `oqm trace` and `oqm search`."""

    location: str = Field(
        "", description="a folder (SQLite, one machine) or postgresql://user:password@host/database; empty: no store"
    )
    retention: Duration = Field(
        30 * 86_400.0, ge=86_400, validate_default=True, description="how long outputs are kept, in whole days"
    )
    privacy: Privacy = Field(default_factory=Privacy)

    @model_validator(mode="after")
    def _hashes_have_a_key(self) -> Store:
        for index, policy in enumerate(self.privacy.fields):
            if self.privacy.hash_key is None and Keep.HASH in policy.model_dump().values():
                raise MisplacedError("`hash` needs privacy.hash_key, or hash_key_file", "privacy", "fields", index)
        return self


class Metrics(Part):
    """What Prometheus scrapes from each worker."""

    port: int = Field(
        9464,
        ge=0,
        le=65_535,
        description="of /metrics, /healthz and /readyz; 0: none; --metrics-port wins; left out: the next free one",
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 in a container; --metrics-host wins"
    )
    max_streams: int = Field(1_000, ge=0, description="streams exported; drifting ones first, the rest are counted")
    max_series: int = Field(20_000, ge=0, description="series of features exported; the rest are counted")


class Settings(Part):
    """All settings."""

    broker: Broker = Field(default_factory=Broker)
    topics: Topics = Field(default_factory=Topics)
    features: Features = Field(default_factory=Features)
    detection: DetectionSettings = Field(default_factory=DetectionSettings)
    alerting: Alerting = Field(default_factory=Alerting)
    streams: tuple[StreamOverride, ...] = Field(
        (), description="overrides by pattern, in order: where several match, the later one wins"
    )
    maintenance: tuple[MaintenanceWindow, ...] = Field(
        (), description="when alerts of which streams wait; what has resolved by the end of the window is never told"
    )
    sinks: tuple[SinkSettings, ...] = Field(
        (LogSinkConfig(type="log"),), description="where alerts go; each sink says which routes and severities it takes"
    )
    delivery: Delivery = Field(default_factory=Delivery)
    worker: Worker = Field(default_factory=Worker)
    store: Store = Field(default_factory=Store)
    metrics: Metrics = Field(default_factory=Metrics)
    links: LinkTemplates = Field(default_factory=LinkTemplates)

    # Streams with the same overrides share one object: a fleet has thousands of streams and a handful of settings.
    _merged: dict[tuple[int, ...], tuple[DetectionSettings, str, str]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        names = [sink.name for sink in self.sinks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            second = [index for index, name in enumerate(names) if name == twice[0]][1]
            what = f"two sinks have the same name: {', '.join(twice)}; give one of them another `name`"
            raise MisplacedError(what, "sinks", second)
        for index in range(len(self.streams)):
            try:
                self._merge((index,))
            except MisplacedError:
                raise
            except ValueError as error:
                raise MisplacedError(str(error), "streams", index) from None
        return self

    def for_stream(self, name: str) -> StreamSettings:
        """What holds for this stream: the defaults, then each matching override in the file's order."""
        matching = tuple(i for i, override in enumerate(self.streams) if fnmatchcase(name, override.match))
        if matching not in self._merged:
            self._merged[matching] = self._merge(matching)
        detection, owner, route = self._merged[matching]
        return StreamSettings.model_construct(stream=name, owner=owner, route=route, detection=detection)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All criteria of the file, in its order."""
        return tuple(criterion for override in self.streams for criterion in override.criteria)

    def criteria_of(self, name: str) -> tuple[Criterion, ...]:
        """The criteria of a stream: those of each matching override; of several with one name, the last."""
        found: dict[str, Criterion] = {}
        for override in self.streams:
            if override.criteria and fnmatchcase(name, override.match):
                found.update((criterion.name, criterion) for criterion in override.criteria)
        return tuple(found.values())

    def merged(self, index: int) -> tuple[DetectionSettings, str, str]:
        """Detection settings, owner and route of a stream that only the override at `index` matches."""
        return self._merge((index,))

    def _merge(self, matching: Sequence[int]) -> tuple[DetectionSettings, str, str]:
        owner, route = self.alerting.owner, self.alerting.route
        if not matching:
            return self.detection, owner, route
        data = self.detection.model_dump()
        for index in matching:
            override = self.streams[index]
            owner = override.owner if override.owner is not None else owner
            route = override.route if override.route is not None else route
            given = override.model_dump(exclude_unset=True, exclude={"match", "owner", "route", "criteria"})
            data = overlay(data, given)
        try:
            return DetectionSettings.model_validate(data), owner, route
        except ValidationError as error:
            patterns = ", ".join(self.streams[index].match for index in matching)
            what = f"streams {patterns}: together with detection, {first_sentence(DetectionSettings, error)}"
            raise ValueError(what) from None


def overlay(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`: mappings are merged key by key, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def load_settings(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in the YAML file at `path`, or the defaults where it is None.

    `environ` is where `${NAME}` is looked up, the process's environment where it is None. Raises `ConfigError` with
    one line per mistake (`monitor.yaml:12 streams[0].warmup: must be >= 100`), all at once.
    """
    if path is None:
        return Settings()
    text = read_settings_text(path)
    return parse(Settings, text, name=str(path), environ=os.environ if environ is None else environ)


def read_settings_text(path: str | Path) -> str:
    """The text of a settings file. Raises `ConfigError` where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
