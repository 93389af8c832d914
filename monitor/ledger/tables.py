"""The schema of the ledger, for SQLite and PostgreSQL alike (SQLAlchemy Core).

`migrations` builds it step by step; a test holds that both lead to the same tables. JSON is kept as text, as the two
databases order, compare and index their own JSON types differently.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()

VERSION_TABLE = "ledger_version"
"""Where Alembic keeps the schema's revision; the trace store has its own."""

HASH_CHARS = 64  # SHA-256 as hexadecimal digits

action = Table(
    "action",
    metadata,
    Column("scope", Text, primary_key=True, comment="tenant or application"),
    Column("key", Text, primary_key=True, comment="business object and occasion"),
    Column("number", BigInteger, nullable=False, comment="audit.seq of the entry that made it"),
    Column("seq", BigInteger, nullable=False, comment="audit.seq of its latest change"),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="hash of the declared fields"),
    Column("state", String(16), nullable=False),
    Column("was", String(16), nullable=False, comment="the state before"),
    Column("fence", BigInteger, nullable=False, comment="number of the latest claim; only rises"),
    Column("lease_until", Double, comment="of the latest claim"),
    Column("claimed_by", Text, nullable=False),
    Column("attempt", Text, nullable=False, comment="the claimant's id of the latest claim"),
    Column("requester", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("event", Text, nullable=False, comment="id of the output that wants it"),
    Column("target", Text, nullable=False),
    Column("fields", Text, nullable=False, comment="the declared fields, JSON"),
    Column("payload", Text, nullable=False, comment="what approvers see, JSON"),
    Column("text_hash", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reasons", Text, nullable=False, comment="JSON"),
    Column("approvals_needed", Integer, nullable=False),
    Column("approvals", Integer, nullable=False, comment="votes of this round"),
    Column("round", Integer, nullable=False, comment="rises whenever earlier votes stop counting"),
    Column("expires_at", Double),
    Column("warn_at", Double),
    Column("warned", Integer, nullable=False),
    Column("wait_s", Double, comment="how long it may wait for people, and then for its claim"),
    Column("warn_before_s", Double),
    Column("on_timeout", Text, nullable=False),
    Column("on_unknown", String(16), nullable=False),
    Column("downstream_key", Integer, nullable=False),
    Column("undo", Text, comment="how it can be undone; null: it cannot"),
    Column("undoes", Text, comment="key of the action that this one undoes"),
    Column("confidence", Double),
    Column("embedding", LargeBinary, nullable=False),
    Column("causes", Text, nullable=False, comment="JSON"),
    Column("keep_s", Double, comment="how long it outlives its outcome; null: for good"),
    Column("result", LargeBinary, comment="byte for byte as the claimant gave it"),
    Column("why", Text, nullable=False),
    Column("proposed_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Index("action_by_number", "number", unique=True),
    Index("action_by_state", "state", "number"),
    Index("action_by_stream", "stream", "number"),
    Index("action_by_event", "event"),
    Index("action_by_target", "scope", "kind", "target", "proposed_at"),
    Index("action_by_expiry", "expires_at", postgresql_where=text("expires_at is not null")),
    Index("action_by_lease", "lease_until", postgresql_where=text("state = 'claimed'")),
)

approval_vote = Table(
    "approval_vote",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="audit.seq of its entry"),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("approved", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("why", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="what the person saw, as `text_hash` and `policy_version`"),
    Column("text_hash", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("used_fence", BigInteger, comment="the claim that used it"),
    Index("vote_by_action", "scope", "key"),
    Index(
        "vote_once",
        "scope",
        "key",
        "round",
        "by",
        unique=True,
        sqlite_where=text("approved = 1"),
        postgresql_where=text("approved = 1"),
    ),
)

action_cause = Table(
    "action_cause",
    metadata,
    Column("cause", Text, primary_key=True, comment="id of an event or key of an action, of `causes`, one by one"),
    Column("scope", Text, primary_key=True, comment="of the action that followed"),
    Column("key", Text, primary_key=True),
    Index("cause_by_action", "scope", "key"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3, ... without a gap"),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("what", String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False, comment="JSON"),
    Column("previous", String(HASH_CHARS), nullable=False),
    Column("hash", String(HASH_CHARS), nullable=False),
    Index("audit_by_subject", "subject", "seq"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="1: the only row; locked by each writer"),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(HASH_CHARS), nullable=False),
    Column("message", BigInteger, nullable=False, comment="id of the latest message of the outbox"),
    Column("courier", Text, nullable=False, comment="the process whose turn it is to publish the outbox"),
    Column("courier_until", Double, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="in the order of the changes"),
    Column("topic", String(16), nullable=False),
    Column("key", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

duplicate = Table(
    "duplicate",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hash", String(HASH_CHARS), nullable=False, comment="SHA-256 of the secret"),
    Column("scopes", Text, nullable=False, comment="JSON"),
    Column("app", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Index("token_by_hash", "hash", unique=True),
)
