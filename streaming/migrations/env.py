"""Alembic's entry: runs the migrations of the schema `live` on the connection that streaming.live_tables hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table="alembic_version", version_table_schema="live"
)
with context.begin_transaction():
    context.run_migrations()
