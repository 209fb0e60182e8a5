"""The `[simulator]` table of milepost.toml; the commands' options come before it."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from contract.settings import RoomSettings


class SimulatorSettings(RoomSettings):
    """How the virtual fleet and the virtual shoppers behave.

    seed: another number is another fleet. interval: simulated seconds between two samples of a truck. rate: events a
    second and shopper. drain: wall seconds to send what is left at the end. hardships: whether trucks of fleet mode
    lose their network, power and clock on the road. odd_shoppers: the share of the shoppers that are crawlers, have a
    wrong clock or come in bursts. roads: what the trucks drive on: a road network (.geojson), or recorded trips (.gpx,
    .csv); None: the simulator's own (docs/simulator.md).
    """

    seed: int = 1
    interval: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    rate: Annotated[float, Field(gt=0, le=1000)] = 1.0
    drain: Annotated[float, Field(ge=0, le=3600)] = 30.0
    hardships: bool = True
    odd_shoppers: Annotated[float, Field(ge=0, le=1)] = 0.0
    roads: Path | None = None


class DataFolder(BaseModel):
    """Where everything of this machine lies: the one key of `[collector]` that the simulator shares with it."""

    data_dir: Path = Path("milepost-data")


class ShopKeys(BaseModel):
    """The keys of producers: the one key of `[commerce]` that the simulated shop needs, to write orders."""

    keys: dict[str, str] = Field(default_factory=dict)
