"""Registers of customers, items and vehicles."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "register_subjects",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("subject_id", sa.String(128), primary_key=True),
    )
    op.create_table(
        "register_documents",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("subject_id", sa.String(128), primary_key=True),
        sa.Column("order_key", sa.String(96), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "register_versions",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("subject_id", sa.String(128), primary_key=True),
        sa.Column("order_key", sa.String(96), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("end", sa.String(24)),
    )


def downgrade() -> None:
    """Not offered: an older program refuses a newer database."""
    raise NotImplementedError
