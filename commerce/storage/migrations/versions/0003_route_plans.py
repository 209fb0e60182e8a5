"""Stored route plans."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "route_plans",
        sa.Column("plan_id", sa.String(32), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.UniqueConstraint("day", "version"),
    )
    op.create_table(
        "planned_stops",
        sa.Column("plan_id", sa.String(32), sa.ForeignKey("route_plans.plan_id"), primary_key=True),
        sa.Column("order_id", sa.String(128), primary_key=True),
        sa.Column("truck_id", sa.String(64), nullable=False),
        sa.Column("stop_no", sa.Integer, nullable=False),
    )
    op.create_index("planned_stops_by_order", "planned_stops", ["order_id"])
    op.create_index("planned_stops_by_truck", "planned_stops", ["truck_id"])


def downgrade() -> None:
    """Not offered: an older program refuses a newer database."""
    raise NotImplementedError
