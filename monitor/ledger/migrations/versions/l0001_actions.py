"""Actions, votes, the audit log with its head, the outbox, counts of duplicates, tokens."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, String, Text, text

revision = "l0001"
down_revision = None

FIRST = "0" * 64  # the hash before the first entry of the audit log


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "action",
        Column("scope", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("number", BigInteger, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("kind", Text, nullable=False),
        Column("fingerprint", Text, nullable=False),
        Column("state", String(16), nullable=False),
        Column("was", String(16), nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("lease_until", Double),
        Column("claimed_by", Text, nullable=False),
        Column("attempt", Text, nullable=False),
        Column("requester", Text, nullable=False),
        Column("stream", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("fields", Text, nullable=False),
        Column("payload", Text, nullable=False),
        Column("text_hash", Text, nullable=False),
        Column("policy_version", Text, nullable=False),
        Column("decision", Text, nullable=False),
        Column("reasons", Text, nullable=False),
        Column("approvals_needed", Integer, nullable=False),
        Column("approvals", Integer, nullable=False),
        Column("round", Integer, nullable=False),
        Column("expires_at", Double),
        Column("warn_at", Double),
        Column("warned", Integer, nullable=False),
        Column("wait_s", Double),
        Column("warn_before_s", Double),
        Column("on_timeout", Text, nullable=False),
        Column("on_unknown", String(16), nullable=False),
        Column("downstream_key", Integer, nullable=False),
        Column("undo", Text),
        Column("undoes", Text),
        Column("confidence", Double),
        Column("embedding", LargeBinary, nullable=False),
        Column("causes", Text, nullable=False),
        Column("keep_s", Double),
        Column("result", LargeBinary),
        Column("why", Text, nullable=False),
        Column("proposed_at", Double, nullable=False),
        Column("changed_at", Double, nullable=False),
    )
    op.create_index("action_by_number", "action", ["number"], unique=True)
    op.create_index("action_by_state", "action", ["state", "number"])
    op.create_index("action_by_stream", "action", ["stream", "number"])
    op.create_index("action_by_event", "action", ["event"])
    op.create_index("action_by_target", "action", ["scope", "kind", "target", "proposed_at"])
    op.create_index("action_by_expiry", "action", ["expires_at"], postgresql_where=text("expires_at is not null"))
    op.create_index("action_by_lease", "action", ["lease_until"], postgresql_where=text("state = 'claimed'"))
    op.create_table(
        "approval_vote",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("scope", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("round", Integer, nullable=False),
        Column("by", Text, nullable=False),
        Column("approved", Integer, nullable=False),
        Column("at", Double, nullable=False),
        Column("why", Text, nullable=False),
        Column("fingerprint", Text, nullable=False),
        Column("text_hash", Text, nullable=False),
        Column("policy_version", Text, nullable=False),
        Column("used_fence", BigInteger),
    )
    op.create_index("vote_by_action", "approval_vote", ["scope", "key"])
    op.create_index(
        "vote_once",
        "approval_vote",
        ["scope", "key", "round", "by"],
        unique=True,
        sqlite_where=text("approved = 1"),
        postgresql_where=text("approved = 1"),
    )
    op.create_table(
        "audit",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("at", Double, nullable=False),
        Column("actor", Text, nullable=False),
        Column("what", String(32), nullable=False),
        Column("subject", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("previous", String(64), nullable=False),
        Column("hash", String(64), nullable=False),
    )
    op.create_index("audit_by_subject", "audit", ["subject", "seq"])
    op.create_table(
        "audit_head",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("seq", BigInteger, nullable=False),
        Column("hash", String(64), nullable=False),
        Column("message", BigInteger, nullable=False),
        Column("courier", Text, nullable=False),
        Column("courier_until", Double, nullable=False),
    )
    op.create_table(
        "outbox",
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("topic", String(16), nullable=False),
        Column("key", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )
    op.create_table(
        "duplicate",
        Column("kind", Text, primary_key=True),
        Column("what", String(16), primary_key=True),
        Column("count", BigInteger, nullable=False),
    )
    op.create_table(
        "token",
        Column("name", Text, primary_key=True),
        Column("hash", String(64), nullable=False),
        Column("scopes", Text, nullable=False),
        Column("app", Text, nullable=False),
        Column("person", Text, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("expires_at", Double),
        Column("revoked_at", Double),
    )
    op.create_index("token_by_hash", "token", ["hash"], unique=True)
    op.execute(
        f"insert into audit_head (id, seq, hash, message, courier, courier_until) values (1, 0, '{FIRST}', 0, '', 0)"
    )
