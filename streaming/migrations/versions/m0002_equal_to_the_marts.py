"""Live tables whose columns are the marts' own, sales by order, a quarantine, and raw events by day of arrival.

What was counted before has other columns and is dropped: delete the checkpoints, and it is counted again from all that
Kafka still holds. Raw events are kept.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

from streaming.decoding import SIGNALS

revision = "0002"
down_revision = "0001"

_VIEWS = Path(__file__).parent / "m0002_views.sql"


def upgrade() -> None:
    """Make the new tables and views."""
    for name in ("traffic_hour", "product_hour", "truck_hour", "session", "event_total"):
        op.drop_table(name, schema="live")
    _raw_events()
    op.create_table(
        "quarantine",
        sa.Column("received_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("identity", sa.Text, primary_key=True),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        schema="live",
    )
    op.create_table(
        "sale",
        sa.Column("sale_id", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("currency", sa.Text),
        sa.Column("lines", sa.dialects.postgresql.JSONB, nullable=False),
        schema="live",
    )
    op.create_index("sale_by_time", "sale", ["at"], schema="live")
    op.create_index("sale_by_session", "sale", ["session_id"], schema="live")
    op.create_table(
        "currency_rate",
        sa.Column("currency", sa.Text, primary_key=True),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("is_main", sa.Boolean, nullable=False),
        schema="live",
    )
    _counted("traffic_hour", _hour(), *_counts("events", "page_views", "users"))
    _counted("product_hour", _hour(), _key("item_id"), *_counts("views", "clicks", "added"))
    signals = [sa.Column(f"{name}_{what}", sa.Double) for name in SIGNALS for what in ("min", "mean", "max")]
    _counted("truck_hour", _hour(), _key("truck_id"), *_counts("samples"), *signals)
    ends = sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False)
    of_session = _counts("events", "page_views", "viewed", "added", "removed")
    _counted(
        "session",
        _key("session_id"),
        sa.Column("started_at", sa.DateTime(timezone=True), primary_key=True),
        ends,
        *of_session,
    )
    op.create_index("session_by_start", "session", ["started_at"], schema="live")
    _counted("event_total", _key("event_type"), *_counts("events"))
    for statement in _VIEWS.read_text(encoding="utf-8").split(";;"):
        op.get_bind().exec_driver_sql(statement)


def _raw_events() -> None:
    """The table by day of arrival (`streaming.raw_events` makes the days); what was there goes into `other`."""
    op.execute("ALTER TABLE live.raw_event RENAME TO raw_event_before")
    op.execute(
        'CREATE TABLE live.raw_event (topic text NOT NULL, "partition" integer NOT NULL, "offset" bigint NOT NULL,'
        " identity text NOT NULL, kind text NOT NULL, at timestamptz NOT NULL, received_at timestamptz NOT NULL,"
        ' document text NOT NULL, PRIMARY KEY (received_at, topic, "partition", "offset", identity))'
        " PARTITION BY RANGE (received_at)"
    )
    op.execute("CREATE TABLE live.raw_event_other PARTITION OF live.raw_event DEFAULT")
    op.execute("INSERT INTO live.raw_event SELECT * FROM live.raw_event_before")
    op.execute("DROP TABLE live.raw_event_before")
    op.execute("CREATE INDEX raw_event_by_identity ON live.raw_event (identity)")


def _counted(name: str, *columns: "sa.Column[Any]") -> None:
    written = (sa.Column("run", sa.Text, nullable=False), sa.Column("batch_id", sa.BigInteger, nullable=False))
    op.create_table(name, *columns, *written, schema="live")


def _hour() -> "sa.Column[Any]":
    return sa.Column("hour", sa.DateTime(timezone=True), primary_key=True)


def _key(name: str) -> "sa.Column[Any]":
    return sa.Column(name, sa.Text, primary_key=True)


def _counts(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in names]
