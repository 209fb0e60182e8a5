"""Alembic's entry: runs the migrations on the connection that commerce.storage.database hands over."""

from alembic import context

from commerce.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
