"""The live tables: raw events, hourly traffic, items and trucks, sessions, totals, and what came too late."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""

    def table(name: str, *columns: sa.Column[Any]) -> None:
        written = (sa.Column("run", sa.Text, nullable=False), sa.Column("batch_id", sa.BigInteger, nullable=False))
        op.create_table(name, *columns, *written, schema="live")

    def count(name: str) -> sa.Column[Any]:
        return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")

    def revenue() -> sa.Column[Any]:
        return sa.Column("revenue", sa.Double, nullable=False, server_default="0")

    op.create_table(
        "raw_event",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("identity", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        schema="live",
    )
    op.create_index("raw_event_by_arrival", "raw_event", ["received_at"], schema="live")
    op.create_index("raw_event_by_identity", "raw_event", ["identity"], schema="live")
    table(
        "traffic_hour",
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        *map(count, ("events", "page_views", "users", "purchases")),
        revenue(),
    )
    table(
        "product_hour",
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("item_id", sa.Text, primary_key=True),
        *map(count, ("views", "clicks", "added")),
    )
    table(
        "truck_hour",
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("truck_id", sa.Text, primary_key=True),
        count("samples"),
        sa.Column("max_speed_kmh", sa.Double),
        sa.Column("distance_km", sa.Double),
    )
    table(
        "session",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("started_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        *map(count, ("events", "page_views", "added", "purchased")),
        revenue(),
    )
    op.create_index("session_by_start", "session", ["started_at"], schema="live")
    table("event_total", sa.Column("event_type", sa.Text, primary_key=True), count("events"))
    op.create_table(
        "late_rows",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("batch_id", sa.BigInteger, primary_key=True),
        sa.Column("dropped", sa.BigInteger, nullable=False),
        schema="live",
    )
