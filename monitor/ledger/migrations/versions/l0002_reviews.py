"""The review queue: items, who does not get them, decisions."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, String, Text

revision = "l0002"
down_revision = "l0001"


def upgrade() -> None:
    """From l0001."""
    op.create_table(
        "review_item",
        Column("id", String(32), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("state", String(16), nullable=False),
        Column("stream", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("time", Double, nullable=False),
        Column("criterion", String(64), nullable=False),
        Column("topic", String(64)),
        Column("partition", Integer),
        Column("position", BigInteger),
        Column("evaluator", Text, nullable=False),
        Column("identity", String(64), nullable=False),
        Column("verdict", Integer),
        Column("stratum", Text, nullable=False),
        Column("judged_probability", Double, nullable=False),
        Column("probability", Double, nullable=False),
        Column("groups", Text, nullable=False),
        Column("second", Integer, nullable=False),
        Column("first", String(32)),
        Column("scope", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("saw", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("cost", Double, nullable=False),
        Column("created", Double, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("leased_by", Text, nullable=False),
        Column("leased_until", Double),
    )
    op.create_index("review_by_state", "review_item", ["state", "kind", "created"])
    op.create_index("review_by_time", "review_item", ["time"])
    op.create_index("review_by_event", "review_item", ["event"])
    op.create_table(
        "review_barred", Column("item", String(32), primary_key=True), Column("person", Text, primary_key=True)
    )
    op.create_index("review_barred_by_person", "review_barred", ["person"])
    op.create_table(
        "review_decision",
        Column("item", String(32), primary_key=True),
        Column("by", Text, nullable=False),
        Column("opinion", String(16), nullable=False),
        Column("at", Double, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("note", Text, nullable=False),
        Column("also", Text, nullable=False),
    )
    op.create_index("review_decision_by_time", "review_decision", ["at"])
