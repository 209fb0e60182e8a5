"""Opens the engine that a setting or `--engine` names."""

from pathlib import Path

from contract.errors import Misconfigured
from warehouse.engines import Engine
from warehouse.settings import WarehouseSettings, warehouse_file


def open_engine(name: str | None, settings: WarehouseSettings, data_dir: Path) -> Engine:
    """The engine of the marts.

    Args:
        name: `duckdb` or `postgresql://…`; None takes that of the settings.
        settings: of the warehouse.
        data_dir: where the DuckDB file is, unless the settings say otherwise.

    Raises:
        Misconfigured: no engine has that name.
    """
    chosen = name or settings.engine
    if chosen == "duckdb":
        from warehouse.engines.duckdb import DuckDbEngine

        return DuckDbEngine(warehouse_file(settings, data_dir))
    if chosen.startswith(("postgresql://", "postgres://")):
        from warehouse.engines.postgresql import PostgresEngine

        return PostgresEngine(chosen)
    raise Misconfigured(f"engine {chosen!r}: give duckdb, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
