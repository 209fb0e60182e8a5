"""Orders, their events and states, tracking tokens and dead letters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table("orders", sa.Column("order_id", sa.String(128), primary_key=True))
    op.create_table(
        "order_contents",
        sa.Column("order_id", sa.String(128), sa.ForeignKey("orders.order_id"), primary_key=True),
        sa.Column("content", sa.String(64), primary_key=True),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "order_events",
        sa.Column("order_id", sa.String(128), sa.ForeignKey("orders.order_id"), primary_key=True),
        sa.Column("event_id", sa.String(128), primary_key=True),
        sa.Column("content", sa.String(64), primary_key=True),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "order_states",
        sa.Column("order_id", sa.String(128), sa.ForeignKey("orders.order_id"), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("customer_id", sa.String(128)),
        sa.Column("truck_id", sa.String(64)),
        sa.Column("placed_at", sa.String(24)),
        sa.Column("promised_at", sa.String(24)),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("order_states_by_placed", "order_states", ["placed_at"])
    op.create_index("order_states_by_customer", "order_states", ["customer_id", "placed_at"])
    op.create_index("order_states_by_truck", "order_states", ["truck_id", "state"])
    op.create_table(
        "tracking_tokens",
        sa.Column("order_id", sa.String(128), sa.ForeignKey("orders.order_id"), primary_key=True),
        sa.Column("token", sa.String(64), nullable=False),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Not offered: an older program refuses a newer database."""
    raise NotImplementedError
