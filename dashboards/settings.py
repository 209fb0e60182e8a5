"""The table `[dashboard]` of milepost.toml."""

from pathlib import Path

from pydantic import BaseModel, Field

from contract.settings import RoomSettings


class DashboardSettings(RoomSettings):
    """What `milepost dashboard` reads and how often it looks.

    engine: the warehouse: duckdb, postgresql://… or snowflake://…; that of `[warehouse]` where None. store: where the
    page "Store now" reads: sqlite:///… or dynamodb://…; the collector's where None. refresh: seconds between looks for
    a newer build of the marts.
    """

    engine: str | None = None
    store: str | None = None
    refresh: int = Field(default=30, ge=1)


class SignIn(BaseModel):
    """The two keys of `[console]` that say who may sign in here, too.

    users: the password file, made by `milepost console user NAME`; None where nobody may. session_hours: how long a
    sign-in lasts.
    """

    users: Path | None = None
    session_hours: float = 12
