"""Opens the engine that a setting or `--engine` names."""

from pathlib import Path

from contract.errors import Misconfigured
from warehouse.engines import Engine
from warehouse.settings import WarehouseSettings, warehouse_file

KNOWN = (
    "duckdb, postgresql://USER:PASSWORD@HOST:PORT/DATABASE, spark,"
    " snowflake://USER@ACCOUNT/DATABASE?warehouse=NAME&role=NAME, or athena://WORKGROUP/DATABASE"
)


def open_engine(name: str | None, settings: WarehouseSettings, data_dir: Path) -> Engine:
    """The engine of the marts.

    Args:
        name: `duckdb`, `postgresql://…`, `spark`, `snowflake://…` or `athena://…`; None takes that of the settings.
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
    if chosen == "spark":
        from warehouse.engines.spark import SparkEngine

        return SparkEngine(data_dir / "warehouse-spark", _python(".venv-spark"))
    if chosen.startswith("snowflake://"):
        from warehouse.engines.snowflake import SnowflakeEngine

        return SnowflakeEngine(chosen, _python(".venv-snowflake"))
    if chosen.startswith("athena://"):
        from warehouse.engines.athena import AthenaEngine

        return AthenaEngine(chosen)
    raise Misconfigured(f"engine {chosen!r}: give {KNOWN}")


def _python(environment: str) -> Path:
    """The Python of an environment that `make` makes beside the program."""
    return Path(__file__).parents[2] / environment / "bin" / "python"
