"""Alembic migrations of the commerce tables; run by commerce.storage.database."""
