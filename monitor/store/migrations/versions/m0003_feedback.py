"""What users say of outputs."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Double, Integer, String, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """From judgments and counts."""
    op.create_table(
        "feedback",
        Column("event", Text, primary_key=True),
        Column("kind", String(32), primary_key=True),
        Column("stream", Text),
        Column("time", Double, nullable=False),
        Column("hour", BigInteger, nullable=False),
        Column("good", Integer),
        Column("value", Double),
        Column("low", Double),
        Column("high", Double),
        Column("text", Text),
        Column("by", Text),
    )
    op.create_index("feedback_by_stream", "feedback", ["stream", "time"])
    op.create_index("feedback_by_hour", "feedback", ["hour"])
