"""The table `[streaming]` of milepost.toml."""

from pathlib import Path

from pydantic import Field

from contract.settings import Room


class StreamingSettings(Room):
    """Where the live tables are and how long a late event is waited for.

    database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, whose schema `live` the jobs own. checkpoints: folder in
    which Spark keeps how far each job is; it belongs to that database. watermark: how much later than the newest event
    one may come and still count at once, as Spark writes it; later ones wait for the next warehouse build.
    trigger_seconds: between two batches. records: of one batch and job, at most.
    """

    database: str = ""
    checkpoints: Path = Path("milepost-data/checkpoints")
    watermark: str = "2 hours"
    trigger_seconds: float = Field(default=10, gt=0)
    records: int = Field(default=50_000, gt=0)
