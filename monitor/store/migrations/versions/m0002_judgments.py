"""Judgments, exact counts of outputs by stratum and slice, and how far each stream's outputs are counted."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, String, Text

revision = "0002"
down_revision = "0001"


def _cell() -> list[Column[object]]:
    return [
        Column("model", Text, nullable=False),
        Column("prompt", Text, nullable=False),
        Column("segment", Text, nullable=False),
        Column("language", String(16), nullable=False),
        Column("length", String(16), nullable=False),
        Column("noise", String(16), nullable=False),
        Column("mixed", String(16), nullable=False),
    ]


def upgrade() -> None:
    """From outputs alone."""
    op.create_table(
        "judgment",
        Column("day", Integer, primary_key=True),
        Column("key", String(32), primary_key=True),
        Column("stream", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("topic", String(64)),
        Column("partition", Integer),
        Column("position", BigInteger),
        Column("time", Double, nullable=False),
        Column("criterion", String(64), nullable=False),
        Column("purpose", String(16), nullable=False),
        Column("finding", Text),
        Column("side", String(8)),
        Column("anchor", Text),
        Column("probability", Double, nullable=False),
        Column("stratum", Text, nullable=False),
        Column("by_uniform", Integer, nullable=False),
        *_cell(),
        Column("segments", Text, nullable=False),
        Column("passed", Integer),
        Column("missing", Text),
        Column("score", Double),
        Column("rationale", Text),
        Column("evaluator", Text, nullable=False),
        Column("identity", String(64), nullable=False),
        Column("answered_by", Text, nullable=False),
        Column("tokens", BigInteger, nullable=False),
        Column("cost_usd", Double, nullable=False),
        Column("latency_s", Double, nullable=False),
        Column("cached", Integer, nullable=False),
        Column("judged_at", Double, nullable=False),
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("judgment_by_event", "judgment", ["event"])
    op.create_index("judgment_by_stream", "judgment", ["stream", "time"])
    op.create_table(
        "seen",
        Column("cell", String(32), primary_key=True),
        Column("hour", BigInteger, nullable=False),
        Column("stream", Text, nullable=False),
        Column("stratum", Text, nullable=False),
        *_cell(),
        Column("outputs", BigInteger, nullable=False),
    )
    op.create_index("seen_by_hour", "seen", ["hour"])
    op.create_table(
        "checked",
        Column("cell", String(32), primary_key=True),
        Column("criterion", String(64), primary_key=True),
        Column("hour", BigInteger, nullable=False),
        Column("outputs", BigInteger, nullable=False),
        Column("failed", BigInteger, nullable=False),
    )
    op.create_index("checked_by_hour", "checked", ["hour"])
    op.create_table(
        "counted",
        Column("topic", String(64), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("stream", Text, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("hour", BigInteger, nullable=False),
    )
    op.create_index("counted_by_hour", "counted", ["hour"])
