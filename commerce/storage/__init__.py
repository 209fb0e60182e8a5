"""Where orders, customers, items, vehicles and plans are kept: SQLAlchemy Core on SQLite or PostgreSQL.

`schema` names the tables, `database` opens one and brings it up to date (Alembic, `migrations/`). Every write is one
transaction, and durable when it returns. What arrives is inserted under its identity and content and never changed, so
that repeats and rival writers meet without harm; tables that follow from it (`order_state`, versions) are written in
the same transaction, under a lock on their subject's row.
"""
