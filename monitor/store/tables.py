"""The schema of the trace store, for SQLite and PostgreSQL alike (SQLAlchemy Core).

`migrations` builds it step by step; a test holds that both lead to the same tables. A row is named by the place of its
message in the log (source topic, partition, position), so that a message that comes twice is one row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text

from monitor.store.records import MAX_HASH_CHARS

metadata = MetaData()

consumed = Table(
    "consumed",
    metadata,
    Column("topic", String(64), primary_key=True, comment="id of the topic, which changes when it is made again"),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="offset of the next message to be read"),
)

prompt = Table(
    "prompt",
    metadata,
    Column("hash", String(MAX_HASH_CHARS), primary_key=True),
    Column("text", Text, nullable=False, comment="in the form that privacy allows"),
)

output = Table(
    "output",
    metadata,
    Column("day", Integer, primary_key=True, comment="days since 1970, by Kafka's time of the message"),
    Column("topic", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("event", Text, nullable=False, comment="the event's id"),
    Column("time", Double, nullable=False, comment="seconds since 1970"),
    Column("version", Text, comment="model and prompt with their versions, as people write them"),
    Column("session", Text),
    Column("trace", Text),
    Column("input", Text),
    Column("output", Text),
    Column("prompt", String(MAX_HASH_CHARS), comment="hash of the prompt's text"),
    Column("fields", Text, nullable=False, comment="the event's other fields, as JSON"),
    Index("output_by_event", "event"),
    Index("output_by_stream", "stream", "time"),
    Index("output_by_session", "session"),
    Index("output_by_trace", "trace"),
    postgresql_partition_by="RANGE (day)",
)

violation = Table(
    "violation",
    metadata,
    Column("day", Integer, primary_key=True),
    Column("topic", String(64), primary_key=True, comment="of the output's message, as `output` has it"),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("criterion", String(64), primary_key=True),
    postgresql_partition_by="RANGE (day)",
)

alert = Table(
    "alert",
    metadata,
    Column("day", Integer, primary_key=True),
    Column("topic", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("alert", Text, nullable=False, comment="the alert's id"),
    Column("body", Text, nullable=False, comment="the transition as published, JSON"),
    Index("alert_by_stream", "stream"),
    postgresql_partition_by="RANGE (day)",
)

BY_DAY = (output, violation, alert)
"""Tables whose rows end with their day."""
