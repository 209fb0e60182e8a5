"""The table `[dashboard]` of milepost.toml."""

from pydantic import Field

from contract.settings import Room


class DashboardSettings(Room):
    """What `milepost dashboard` reads and how often it looks.

    engine: the warehouse: duckdb, postgresql://… or snowflake://…; that of `[warehouse]` where None. store: where the
    page "Store now" reads: sqlite:///… or dynamodb://…; the collector's where None. refresh: seconds between looks for
    a newer build of the marts.
    """

    engine: str | None = None
    store: str | None = None
    refresh: int = Field(default=30, ge=1)
