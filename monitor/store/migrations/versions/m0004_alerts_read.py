"""Up to when the topic of alerts is in the store."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, Integer, String

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """From outputs, judgments, counts and feedback."""
    op.create_table(
        "alerts_read",
        Column("topic", String(64), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("until", Double, nullable=False),
    )
