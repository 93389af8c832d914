"""What led to an action, one by one, so that it can be looked up."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "l0003"
down_revision = "l0002"


def upgrade() -> None:
    """From reviews."""
    op.create_table(
        "action_cause",
        Column("cause", Text, primary_key=True),
        Column("scope", Text, primary_key=True),
        Column("key", Text, primary_key=True),
    )
    op.create_index("cause_by_action", "action_cause", ["scope", "key"])
