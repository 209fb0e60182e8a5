"""Opens the database that a URL names and brings its tables up to date."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from contract.errors import Misconfigured, Retryable, Unreachable

_MIGRATIONS = Path(__file__).with_name("migrations")


def open_database(url: str) -> "Database":
    """Connect, and migrate an older schema forward.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`.

    Returns:
        Connected; to be closed by who asks.

    Raises:
        Misconfigured: a URL of another kind, or a schema newer than this program.
        Unreachable: no server answers there, or the file cannot be opened.
    """
    database = Database(_engine(url))
    database.migrate()
    return database


class Database:
    """One database, safe to use from several threads.

    `write` and `read` give a connection inside a transaction that ends with the block: committed, or rolled back if
    the block raises. A fault of the server's raises Retryable: nothing was changed that was not committed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, which has one writer at a time."""
        return self._engine.dialect.name == "sqlite"

    def insert(self, table: sqlalchemy.Table) -> Any:
        """An INSERT that knows ON CONFLICT in this database's dialect.

        Args:
            table: of commerce.storage.schema.

        Returns:
            The statement, to be completed.
        """
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; on SQLite it takes the write lock at once.

        Returns:
            A context; durable at its end, undone by an error inside.

        Raises:
            Retryable: the database is away or busy; nothing was written.
        """
        with self._transaction() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the database.

        Returns:
            A context; nothing can be written in it.

        Raises:
            Retryable: the database is away.
        """
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._transaction(**options) as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def _transaction(self, **options: Any) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise Retryable(f"the orders' database failed ({_first_line(error)}): try again") from error

    def migrate(self) -> None:
        """Run the migrations that this database has not seen; see `open_database` for errors."""
        newest = max(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
        try:
            found = self._revision()
            if found > newest:
                raise Misconfigured(
                    f"the orders' database is of revision {found} and this program knows {newest}: upgrade milepost"
                )
            if found < newest:
                self._upgrade()
        except DBAPIError as error:
            raise Unreachable(
                f"the orders' database cannot be used ({_first_line(error)}): check [commerce] database"
            ) from error

    def _revision(self) -> str:
        """The newest migration that has run, "" where none has."""
        with self._engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table("alembic_version"):
                return ""
            return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")

    def _upgrade(self) -> None:
        from alembic import command  # half of this module's start-up, needed once in a database's life
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # two programs may open it at once
            else:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4867251)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def fold_log(self) -> None:
        """Have SQLite fold its log into the file, so that no earlier text of a row stands in it; elsewhere nothing."""
        if self.is_sqlite:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum_full(self, tables: Sequence[str]) -> None:
        """Have PostgreSQL rewrite tables, without dead rows; each is locked meanwhile.

        Args:
            tables: their names.

        Raises:
            Retryable: the database is away.
        """
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in tables:
                    connection.exec_driver_sql(f'VACUUM FULL "{table}"')
        except DBAPIError as error:
            raise Retryable(f"the orders' database failed ({_first_line(error)}): try again") from error

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    kind = url.partition(":")[0]
    if kind not in ("sqlite", "postgresql"):
        raise Misconfigured(f"[commerce] database {kind!r}: give sqlite:///PATH or postgresql://USER@HOST/NAME")
    try:
        if kind == "postgresql":
            return sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), pool_pre_ping=True)
        engine = sqlalchemy.create_engine(url, connect_args={"timeout": 30})
    except (ArgumentError, NoSuchModuleError) as error:
        raise Misconfigured(f"[commerce] database: {error}") from None

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun by `write` and `read`, not by the driver
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {setting}")

    return engine


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]
