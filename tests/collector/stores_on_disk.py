"""A store of a test's own, filled through the real ingest; and what a reader sees of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest, unpack, vouch_for_policy
from collector.rebuild import verify
from collector.stores.sqlite.store import SqliteStore
from contract.codec import Json, dump
from contract.ingest_items import Item, Kind, Receipt
from tests.contract.examples import RECEIVED_MS


class Collector:
    """Store, policy and ingest over one file, as a door holds them."""

    def __init__(self, path: Path, policy: TrackingPolicy | None = None) -> None:
        self.store = SqliteStore(path)
        self.policy = policy or TrackingPolicy.of()
        vouch_for_policy(self.store, self.policy)
        self.ingest = Ingest(self.store, self.policy)

    def close(self) -> None:
        self.store.close()

    def take(
        self, *records: Json, kind: Kind = "telemetry", source: str = "file:telemetry", **more: Any
    ) -> list[Receipt]:
        """The receipts of records that came at RECEIVED as bytes through one door; `more` are fields of Item."""
        made = [
            Item(kind, source, record if isinstance(record, bytes) else dump(record).encode(), RECEIVED_MS)
            for record in records
        ]
        return self.ingest.ingest([each for item in made for each in unpack(replaced(item, **more))])

    def on_topic(self, truck_id: str, *records: Json, what: str = "telemetry", **more: Any) -> list[Receipt]:
        """As if they had come over MQTT."""
        kinds: dict[str, Kind] = {"report": "report", "status": "status"}
        source = f"mqtt:fleet/{truck_id}/{what}"
        return self.take(*records, kind=kinds.get(what, "telemetry"), source=source, truck_id=truck_id, **more)

    def history(self, truck_id: str = "T1") -> list[dict[str, Any]]:
        """What `milepost history --json` prints, load_timestamp apart."""
        return without_load_times(queries.history(self.store, truck_id))

    def faults(self) -> list[dict[str, Any]]:
        """What `milepost verify --json` prints."""
        return verify(self.store, self.policy)


def replaced(item: Item, **fields: Any) -> Item:
    """The item with some fields changed."""

    return item._replace(**fields)


def without_load_times(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """History rows but for the one column that says when they came."""
    return [{key: value for key, value in row.items() if key != "load_timestamp"} for row in rows]


def statuses(receipts: Sequence[Receipt]) -> list[str]:
    """Their statuses alone."""
    return [receipt.status for receipt in receipts]
