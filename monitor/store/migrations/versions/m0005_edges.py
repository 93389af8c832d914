"""What followed from what."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Double, Integer, String, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """From the time up to which alerts are known."""
    op.create_table(
        "edge",
        Column("source", Text, primary_key=True),
        Column("target", Text, primary_key=True),
        Column("day", Integer, primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("stream", Text, nullable=False),
        Column("time", Double, nullable=False),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (day)",
    )
    op.create_index("edge_by_target", "edge", ["target"])
