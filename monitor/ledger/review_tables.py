"""The tables of the review queue; `migrations/versions/l0002_reviews.py` makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, String, Table, Text

from monitor.ledger.tables import metadata

ID_CHARS = 32  # 128 bits as hexadecimal digits

review_item = Table(
    "review_item",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True, comment="hash of what it is about: the same again is one item"),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("stream", Text, nullable=False),
    Column("event", Text, nullable=False, comment="the output's id"),
    Column("time", Double, nullable=False, comment="the output's, seconds since 1970"),
    Column("criterion", String(64), nullable=False),
    Column("topic", String(64), comment="place of the output's message, where it is known"),
    Column("partition", Integer),
    Column("position", BigInteger),
    Column("evaluator", Text, nullable=False),
    Column("identity", String(64), nullable=False),
    Column("verdict", Integer, comment="of the evaluator: 1 passed, 0 failed; null: nobody judged it"),
    Column("stratum", Text, nullable=False),
    Column("judged_probability", Double, nullable=False, comment="with which it was judged"),
    Column("probability", Double, nullable=False, comment="with which it then came to people"),
    Column("groups", Text, nullable=False, comment="what estimates are broken down by, JSON"),
    Column("second", Integer, nullable=False, comment="1: a second opinion was drawn for it"),
    Column("first", String(ID_CHARS), comment="of a second opinion: the first one's item"),
    Column("scope", Text, nullable=False, comment="of a held action, as `key`"),
    Column("key", Text, nullable=False),
    Column("saw", Text, nullable=False, comment="of a held action: what its reviewer was given, JSON"),
    Column("reason", Text, nullable=False),
    Column("cost", Double, nullable=False),
    Column("created", Double, nullable=False),
    Column("fence", BigInteger, nullable=False, comment="number of the latest lease; only rises"),
    Column("leased_by", Text, nullable=False),
    Column("leased_until", Double),
    Index("review_by_state", "state", "kind", "created"),
    Index("review_by_time", "time"),
    Index("review_by_event", "event"),
)

review_barred = Table(
    "review_barred",
    metadata,
    Column("item", String(ID_CHARS), primary_key=True),
    Column("person", Text, primary_key=True, comment="who does not get it: has skipped it, or given the first opinion"),
    Index("review_barred_by_person", "person"),
)

review_decision = Table(
    "review_decision",
    metadata,
    Column("item", String(ID_CHARS), primary_key=True),
    Column("by", Text, nullable=False),
    Column("opinion", String(16), nullable=False),
    Column("at", Double, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("also", Text, nullable=False, comment="anchor, suite, reference: what else it is good for, JSON"),
    Index("review_decision_by_time", "at"),
)
