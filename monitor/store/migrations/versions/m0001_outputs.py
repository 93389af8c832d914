"""Outputs, the checks that they violate, prompts, alerts, and how far the log has been read."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, String, Text

revision = "0001"
down_revision = None

BY_DAY = "RANGE (day)"


def _place() -> list[Column[object]]:
    return [
        Column("day", Integer, primary_key=True),
        Column("topic", String(64), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, primary_key=True),
    ]


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "consumed",
        Column("topic", String(64), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("position", BigInteger, nullable=False),
    )
    op.create_table("prompt", Column("hash", String(128), primary_key=True), Column("text", Text, nullable=False))
    op.create_table(
        "output",
        *_place(),
        Column("stream", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("time", Double, nullable=False),
        Column("version", Text),
        Column("session", Text),
        Column("trace", Text),
        Column("input", Text),
        Column("output", Text),
        Column("prompt", String(128)),
        Column("fields", Text, nullable=False),
        postgresql_partition_by=BY_DAY,
    )
    op.create_index("output_by_event", "output", ["event"])
    op.create_index("output_by_stream", "output", ["stream", "time"])
    op.create_index("output_by_session", "output", ["session"])
    op.create_index("output_by_trace", "output", ["trace"])
    op.create_table(
        "violation", *_place(), Column("criterion", String(64), primary_key=True), postgresql_partition_by=BY_DAY
    )
    op.create_table(
        "alert",
        *_place(),
        Column("stream", Text, nullable=False),
        Column("alert", Text, nullable=False),
        Column("body", Text, nullable=False),
        postgresql_partition_by=BY_DAY,
    )
    op.create_index("alert_by_stream", "alert", ["stream"])
