"""A collector's store in a data folder, filled through ingest as a door fills it, and its lake."""

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.factory import open_reader, open_store
from commerce.storage.database import Database, open_database
from contract import timestamps
from contract.ingest_items import Item, Receipt
from warehouse.build import build
from warehouse.engines import Engine
from warehouse.engines.duckdb import DuckDbEngine
from warehouse.lake.build import Lake, LakeSources
from warehouse.lake.check import check
from warehouse.lake.tables import TABLES
from warehouse.lake.writing import relation
from warehouse.read import plain_rows
from warehouse.sources import Terms

Record = dict[str, Any]


class Fleet:
    """A data folder; `take` ingests, `build` builds the lake."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'milepost.db'}"
        self._store = open_store(self.url)
        self._shop: Database | None = None
        self._ingest = Ingest(self._store, TrackingPolicy.of())

    def take(self, records: Iterable[Record], *, received: str | None = None) -> list[Receipt]:
        """Telemetry, each received a second after it was sampled, or all at `received`."""
        return self._take("telemetry", records, "sampled_at", received)

    def click(self, events: Iterable[Record], *, received: str | None = None) -> list[Receipt]:
        """Shop events, each received a second after its time, or all at `received`."""
        return self._take("click", events, "timestamp", received)

    def _take(self, kind: Any, records: Iterable[Record], time: str, received: str | None) -> list[Receipt]:
        items = [
            Item(kind, f"file:{kind}", record, _ms(received or record[time]) + (received is None) * 1000)
            for record in records
        ]
        return [receipt for n in range(0, len(items), 500) for receipt in self._ingest.ingest(items[n : n + 500])]

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    def build(self, **options: Any) -> dict[str, Any]:
        reader = open_reader(self.url)
        assert reader
        try:
            return self.lake.build(LakeSources(reader, self._shop), **options)
        finally:
            reader.close()

    @property
    def shop(self) -> Database:
        """The database of commerce, made when it is first asked for."""
        if self._shop is None:
            self._shop = open_database(f"sqlite:///{self.folder / 'commerce.db'}")
        return self._shop

    def check(self) -> dict[str, Any]:
        reader = open_reader(self.url)
        assert reader
        try:
            return check(self.folder / "lake", reader, memory="1GB")
        finally:
            reader.close()

    def build_marts(self, engine: Engine | None = None, **options: Any) -> dict[str, int]:
        """The marts of the newest lake build; mart → rows."""
        terms = options.pop("terms", Terms())
        made: dict[str, int] = build(self.folder / "lake", engine or self.engine, terms, **options)["marts"]
        return made

    @property
    def engine(self) -> DuckDbEngine:
        return DuckDbEngine(self.folder / "warehouse.duckdb")

    def query(self, sql: str) -> list[Record]:
        return plain_rows(self.engine.query(sql))

    def lake_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the newest finished build, received times and documents included."""
        catalog = self.lake.catalog
        build = catalog.newest()
        assert build
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'")
            found = {}
            for table in TABLES:
                held = catalog.files(table, build.snapshots[table.name])
                paths = [path for each in held.values() for path in each]
                found[table.name] = db.execute(f"SELECT * FROM {relation(table, paths)} ORDER BY ALL").fetchall()
        return found

    def close(self) -> None:
        self._store.close()
        if self._shop:
            self._shop.close()


def _ms(instant: str) -> int:
    return timestamps.to_ms(timestamps.parse(instant, "time"))


def at(start: str, seconds: float) -> str:
    """The instant so many seconds after another."""
    return timestamps.from_datetime(timestamps.to_datetime(start) + datetime.timedelta(seconds=seconds))


def drive(truck: str, start: str, speeds: Sequence[float | None], **more: Any) -> list[Record]:
    """A sample a minute from `start`, one for each speed (km/h): engine on, odometer and fuel as the speed makes them.

    more: `odometer` (km) and `fuel` (%) at the start, `seq` of the first sample, `stream`.
    """
    odometer, fuel, seq = more.get("odometer", 1000.0), more.get("fuel", 80.0), more.get("seq", 1)
    samples = []
    for minute, speed in enumerate(speeds):
        samples.append(
            {
                "schema_version": 1,
                "truck_id": truck,
                "stream_id": more.get("stream", "s1"),
                "seq": seq + minute,
                "sampled_at": at(start, 60 * minute),
                "time_quality": "gps",
                "gps_location": {"latitude": 52 + odometer / 1e4, "longitude": 13.0, "altitude": 30, "speed": speed},
                "vehicle_speed": speed,
                "engine_diagnostics": {"engine_rpm": 600 if not speed else 1400, "fuel_level": round(fuel, 3)},
                "odometer_reading": round(odometer, 3),
                "fuel_consumption": 2.0 if not speed else 24.0,
                "vehicle_health_and_maintenance": {"brake_status": more.get("brakes", "ok"), "active_faults": []},
            }
        )
        odometer += (speed or 0) / 60
        fuel -= 0.01 if not speed else 0.1
    return samples
