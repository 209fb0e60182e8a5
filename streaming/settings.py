"""The table `[streaming]` of milepost.toml."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from contract.settings import RoomSettings


class StreamingSettings(RoomSettings):
    """Where the live tables are and how long a late event is waited for.

    database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, whose schema `live` the jobs own. checkpoints: folder in
    which Spark keeps how far each job is; it belongs to that database. watermark: how much later than the newest event
    one may come and still count at once, as Spark writes it; later ones wait for the next warehouse build.
    trigger_seconds: between two batches. records: of one batch and job, at most. raw_days: days that raw events and
    refused records are kept, by their arrival.
    """

    database: str = ""
    checkpoints: Path = Path("milepost-data/checkpoints")
    watermark: str = "2 hours"
    trigger_seconds: float = Field(default=10, gt=0)
    records: int = Field(default=50_000, gt=0)
    raw_days: int = Field(default=30, gt=0)


class StreamedMoney(BaseModel):
    """What of the table `[warehouse]` the jobs need too: the main currency, and other currency → its worth in it."""

    model_config = ConfigDict(frozen=True)

    currency: str = "EUR"
    rates: dict[str, float] = Field(default_factory=dict)


class StreamedDataDir(BaseModel):
    """What of the table `[collector]` the jobs need too: the folder with the markers of `milepost forget`."""

    model_config = ConfigDict(frozen=True)

    data_dir: Path = Path("milepost-data")
