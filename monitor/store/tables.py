"""The schema of the trace store, for SQLite and PostgreSQL alike (SQLAlchemy Core).

`migrations` builds it step by step; a test holds that both lead to the same tables. A row is named by the place of its
message in the log (source topic, partition, position), so that a message that comes twice is one row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text

from monitor.store.records import MAX_HASH_CHARS

metadata = MetaData()

KEY_CHARS = 32  # 128 bits as hexadecimal digits: no two of 10^15 rows share a key by chance


def _cell_columns() -> list[Column[str]]:
    """By what an estimate can be narrowed or broken down; an empty text where it is not known."""
    return [
        Column("model", Text, nullable=False, comment="model and version"),
        Column("prompt", Text, nullable=False, comment="prompt and version"),
        Column("segment", Text, nullable=False, comment="value of the attribute that store.segment names"),
        Column("language", String(16), nullable=False),
        Column("length", String(16), nullable=False),
        Column("noise", String(16), nullable=False),
        Column("mixed", String(16), nullable=False),
    ]


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
    Column("body", Text, nullable=False, comment="the transition, JSON; excerpts as privacy allows"),
    Index("alert_by_stream", "stream"),
    postgresql_partition_by="RANGE (day)",
)

alerts_read = Table(
    "alerts_read",
    metadata,
    Column("topic", String(64), primary_key=True, comment="id of the topic of alerts"),
    Column("partition", Integer, primary_key=True),
    Column("until", Double, nullable=False, comment="all messages up to then are in the store; 0: not read to its end"),
)

judgment = Table(
    "judgment",
    metadata,
    Column("day", Integer, primary_key=True, comment="days since 1970, by the output's time"),
    Column("key", String(KEY_CHARS), primary_key=True, comment="hash of output, criterion, purpose and finding"),
    Column("stream", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("topic", String(64), comment="place of the output's message, where it is known"),
    Column("partition", Integer),
    Column("position", BigInteger),
    Column("time", Double, nullable=False, comment="the output's, seconds since 1970"),
    Column("criterion", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("finding", Text),
    Column("side", String(8)),
    Column("anchor", Text),
    Column("probability", Double, nullable=False, comment="with which the output was drawn"),
    Column("stratum", Text, nullable=False, comment="the rules of the draw that applied"),
    Column("by_uniform", Integer, nullable=False),
    *_cell_columns(),
    Column("segments", Text, nullable=False, comment="JSON"),
    Column("passed", Integer, comment="1 or 0; null where the verdict is missing"),
    Column("missing", Text, comment="why there is no verdict"),
    Column("score", Double),
    Column("rationale", Text, comment="in the form that privacy allows"),
    Column("evaluator", Text, nullable=False),
    Column("identity", String(64), nullable=False),
    Column("answered_by", Text, nullable=False, comment="the evaluation model as it names itself"),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_usd", Double, nullable=False),
    Column("latency_s", Double, nullable=False),
    Column("cached", Integer, nullable=False),
    Column("judged_at", Double, nullable=False),
    Index("judgment_by_event", "event"),
    Index("judgment_by_stream", "stream", "time"),
    postgresql_partition_by="RANGE (day)",
)

seen = Table(
    "seen",
    metadata,
    Column("cell", String(KEY_CHARS), primary_key=True, comment="hash of the columns but `outputs`"),
    Column("hour", BigInteger, nullable=False, comment="hours since 1970, by the outputs' time"),
    Column("stream", Text, nullable=False),
    Column("stratum", Text, nullable=False, comment="empty where nothing of the stream is judged"),
    *_cell_columns(),
    Column("outputs", BigInteger, nullable=False),
    Index("seen_by_hour", "hour"),
)

checked = Table(
    "checked",
    metadata,
    Column("cell", String(KEY_CHARS), primary_key=True, comment="of `seen`"),
    Column("criterion", String(64), primary_key=True),
    Column("hour", BigInteger, nullable=False),
    Column("outputs", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Index("checked_by_hour", "hour"),
)

counted = Table(
    "counted",
    metadata,
    Column("topic", String(64), primary_key=True, comment="id of the outputs' topic"),
    Column("partition", Integer, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("position", BigInteger, nullable=False, comment="of the last output in `seen`: the fence"),
    Column("hour", BigInteger, nullable=False),
    Index("counted_by_hour", "hour"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("event", Text, primary_key=True, comment="id of the output's event, which may come later, or never"),
    Column("kind", String(32), primary_key=True, comment="thumb, rating, correction, or the application's name"),
    Column("stream", Text, comment="where the sender names it; else it is that of the output"),
    Column("time", Double, nullable=False, comment="when it was said; of several the latest stays"),
    Column("hour", BigInteger, nullable=False, comment="hours since 1970, by Kafka's time of the message"),
    Column("good", Integer, comment="1 or 0; null where it says neither"),
    Column("value", Double),
    Column("low", Double, comment="ends of the scale of a rating"),
    Column("high", Double),
    Column("text", Text, comment="a comment, or the corrected output, in the form that privacy allows"),
    Column("by", Text, comment="who says so, in the form that privacy allows"),
    Index("feedback_by_stream", "stream", "time"),
    Index("feedback_by_hour", "hour"),
)

edge = Table(
    "edge",
    metadata,
    Column("source", Text, primary_key=True, comment="id of an event, key of an action, or a span"),
    Column("target", Text, primary_key=True),
    Column("day", Integer, primary_key=True, comment="of the message of the event that says so"),
    Column("kind", String(8), nullable=False),
    Column("stream", Text, nullable=False, comment="of that event"),
    Column("time", Double, nullable=False, comment="of that event, seconds since 1970"),
    Index("edge_by_target", "target"),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (day)",
)

BY_DAY = (output, violation, alert, judgment, edge)
"""Tables whose rows end with their day."""

BY_HOUR = (seen, checked, counted, feedback)
"""Tables of counts, and what users say, whose rows are deleted when their day ends: they are few, and must be written
together with the positions of the log, or replaced days later, so they cannot lie in files by day."""
