"""The settings of the lake and the warehouse: the tables `[lake]` and `[warehouse]` of milepost.toml."""

from pathlib import Path

from pydantic import Field

from contract.settings import RoomSettings
from warehouse.quality import QualityRule


class LakeSettings(RoomSettings):
    """Where the lake is and how long it keeps what builds replaced.

    path: the lake's folder, else `lake` in the data directory. keep: days that the snapshots of finished builds are
    kept. memory: what DuckDB may use at most while it builds, as it writes sizes ("1GB").
    """

    path: Path | None = None
    keep: float = Field(default=7, gt=0)
    memory: str = Field(default="1GB", pattern=r"^[0-9.]+ ?[KMG]i?B$")


class WarehouseSettings(RoomSettings):
    """How money is counted, and where the warehouse is.

    path: the DuckDB file, else `warehouse.duckdb` in the data directory. currency: what all revenue is given in.
    rates: other currency → its worth in `currency`; amounts in a currency without a rate are left out and counted by
    `lake check`. engine: duckdb, or postgresql://…. quality: rules beside those in warehouse/quality_rules.toml.
    """

    path: Path | None = None
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    rates: dict[str, float] = Field(default_factory=dict)
    engine: str = "duckdb"
    quality: tuple[QualityRule, ...] = ()


def lake_folder(settings: LakeSettings, data_dir: Path) -> Path:
    """The folder of the lake that belongs to a data directory.

    Args:
        settings: of the lake.
        data_dir: holds it, unless the settings say otherwise.

    Returns:
        The folder, whether it is there or not.
    """
    return settings.path or data_dir / "lake"


def warehouse_file(settings: WarehouseSettings, data_dir: Path) -> Path:
    """The DuckDB file of the warehouse that belongs to a data directory.

    Args:
        settings: of the warehouse.
        data_dir: holds it, unless the settings say otherwise.

    Returns:
        The file, whether it is there or not.
    """
    return settings.path or data_dir / "warehouse.duckdb"
