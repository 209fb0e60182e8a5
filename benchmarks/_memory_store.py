"""The least that ingest can run on: a store in memory, so that what is measured is ingest and not a database."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Version
from collector.rows import DeadLetter, StoredClick, StoredSample
from collector.stores import Change, TruckHead


class MemoryStore:
    """Of `Store` what ingest calls; samples, versions and ledgers by truck, nothing durable."""

    chunk = 200
    read_on = 30
    most_versions = None
    too_late_ms = None
    clicks_too_old_ms = None

    def __init__(self) -> None:
        self.samples: dict[str, dict[str, StoredSample]] = defaultdict(dict)
        self.keys: dict[str, list[str]] = defaultdict(list)
        self.versions: dict[str, dict[str, Version]] = defaultdict(dict)
        self.heads: dict[str, TruckHead] = {}
        self.ledgers: dict[tuple[str, str], StreamLedger] = {}
        self.letters: list[DeadLetter] = []

    def unit(self) -> nullcontext[None]:
        return nullcontext()

    def now_ms(self) -> int:
        return 0

    def policy(self) -> None:
        return None

    def clicks_kept_from(self) -> str:
        return ""

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        stored, keys = self.samples[truck_id], self.keys[truck_id]
        fresh = []
        for sample in samples:
            fresh.append(sample.order_key not in stored)
            if fresh[-1]:
                stored[sample.order_key] = sample
                insort(keys, sample.order_key)
        return fresh

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        ledgers = {stream_id: self.ledgers.get((truck_id, stream_id)) or StreamLedger() for stream_id in streams}
        head = self.heads.get(truck_id)
        return TruckHead(head.latest, head.current, head.rev, ledgers) if head else TruckHead(ledgers=ledgers)

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        found = [key for key in self.versions[truck_id] if key < order_key]
        return self.versions[truck_id][max(found)] if found else None

    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]:
        stored = self.versions[truck_id]
        return (stored[key] for key in sorted(stored) if key >= order_key)

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        stored, keys = self.samples[truck_id], self.keys[truck_id]
        return (Point(key, stored[key].key) for key in keys[bisect_left(keys, order_key) :])

    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead:
        versions, steps = self.versions[truck_id], change.steps
        for order_key in steps.remove:
            del versions[order_key]
        for order_key, end in steps.close:
            versions[order_key] = replace(versions[order_key], end=end)
        for version in steps.put:
            versions[version.order_key] = version
        for stream_id, ledger in change.ledgers.items():
            self.ledgers[truck_id, stream_id] = ledger
        head = TruckHead(max(change.latest, read.latest), steps.current or read.current, read.rev + 1)
        self.heads[truck_id] = head
        return head

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        return [True for _ in clicks]

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)
