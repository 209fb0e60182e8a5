"""`milepost forget`: every room forgets, then every file and table is searched for what should be gone.

The order makes a kill harmless. The marker is written first, so that nothing that comes meanwhile is kept; each store
then forgets in one transaction and writes its file anew; lake and marts are made anew; last comes the search. The same
command again does the rest.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from collector.settings import CollectorSettings
from collector.stores.forgetting import Person, StoreForgetting, person_of
from collector.stores.sqlite import forgetting as sqlite_forgetting
from commerce import forgetting as shop_forgetting
from commerce.registers.documents import VEHICLES
from commerce.registers.register import Register, content_mark
from commerce.settings import CommerceSettings
from commerce.storage.database import Database
from contract import atomic_file, timestamps
from contract.errors import Misconfigured
from contract.forgotten import MARKERS, SECRET, Forgotten, Span
from simulator import forgetting as simulator_forgetting
from standalone.forget_marts import BucketMarts
from streaming import forgetting as live_forgetting
from warehouse import forgetting as lake_forgetting

BEGUN = "forget-begun.json"
"""Holds the identifiers of a forgetting until its search has found none of them; closed to others."""

_CHUNK = 8 * 1024 * 1024
_BUFFER_DAYS = 7
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ForgettingRooms:
    """What is asked to forget.

    stores: of the collector: on AWS the tables, the archive in the bucket, and the store that the scheduled build made
    of the archive, if this is its data directory. shop: the open database of commerce, None where there is none. live:
    URL of the PostgreSQL in which the Spark jobs keep their tables, None where no such is set. marts: those in the
    bucket.
    """

    collector: CollectorSettings
    commerce: CommerceSettings
    shop: Database | None
    stores: Sequence[StoreForgetting] = ()
    config: Path | None = None
    live: str | None = None
    marts: BucketMarts | None = None

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.collector.data_dir

    def person(self, customer_id: str) -> Person:
        """What the events of all stores say of a customer."""
        return person_of((row for store in self.stores for row in store.named_ids()), customer_id)

    def files(self) -> list[Path]:
        """The store files of this machine."""
        return [each.path for each in self.stores if isinstance(each, sqlite_forgetting.SqliteForgetting)]

    def make_lake_anew(self) -> Report | None:
        """Make lake and marts of this machine anew from its store file; None where it has none."""
        files = self.files()
        return lake_forgetting.forget(self.data_dir, f"sqlite:///{files[0]}", self.config) if files else None


def stores_of(collector: CollectorSettings, bucket: str | None) -> list[StoreForgetting]:
    """The stores that must forget.

    Args:
        collector: says which store is in use.
        bucket: of the stack, with a store on DynamoDB.

    Returns:
        Those that there are, the one in use first.

    Raises:
        Misconfigured: a store on DynamoDB without the bucket, or a store that cannot forget.
    """
    kind, _, place = collector.store_url.partition("://")
    own = [sqlite_forgetting.SqliteForgetting(path) for path in [collector.data_dir / "milepost.db"] if path.exists()]
    if kind == "sqlite":
        path = Path(place.removeprefix("/"))
        return [sqlite_forgetting.SqliteForgetting(path)] if path.exists() else []
    if kind != "dynamodb":
        raise Misconfigured(f"`milepost forget` reaches sqlite and dynamodb stores, not {kind} (docs/forget.md)")
    if bucket is None:
        raise Misconfigured("the archive holds what the tables hold: give --bucket, the stack's output Bucket")
    from collector.ingest.archive_forgetting import ArchiveForgetting
    from collector.stores.dynamodb.forgetting import DynamoDbForgetting

    return [DynamoDbForgetting(place), ArchiveForgetting(bucket), *own]


def customer(rooms: ForgettingRooms, customer_id: str, *, now_ms: int, dry_run: bool) -> Report:
    """Forget a customer.

    Args:
        rooms: of this machine.
        customer_id: whom.
        now_ms: Unix ms; what happens later is not forgotten.
        dry_run: count and search only.

    Returns:
        `{customer_id, at, dry_run, held, done, lake, found, searched, out_of_reach}`. held: what there was. found:
        where one of its identifiers still stands, which is nowhere after a forgetting.

    Raises:
        Misconfigured: the customer is on legal hold, or the store is not of this machine.
        Retryable: something was locked for too long; the same command again does the rest.
    """
    at = timestamps.from_ms(now_ms)
    if rooms.shop:
        shop_forgetting.refuse_held(rooms.shop, customer_id)
    clicks = rooms.person(customer_id)
    held = (
        shop_forgetting.held(rooms.shop, customer_id)
        if rooms.shop
        else shop_forgetting.CustomerHoldings((), (), (), ())
    )
    begun = _begun(rooms.data_dir, customer_id)
    identifiers = sorted({customer_id, *clicks.user_ids, *clicks.session_ids, *held.identifiers, *begun})
    report: Report = {
        "customer_id": customer_id,
        "at": at,
        "dry_run": dry_run,
        "held": {
            "clicks": len(clicks.event_ids),
            "user_ids": len(clicks.user_ids),
            "session_ids": len({*clicks.session_ids, *held.session_ids}),
            "orders": len(held.order_ids),
            "profile_documents": len(held.contents),
        },
        "done": {},
        "lake": None,
    }
    if not dry_run:
        atomic_file.write(rooms.data_dir / BEGUN, json.dumps({customer_id: identifiers}), mode=0o600)
        marks = _marks(rooms)
        ids = {customer_id, *clicks.user_ids, *clicks.session_ids, *held.session_ids}
        marks.add_person([*ids, *map(content_mark, held.contents)], at)
        done = Counter[str]()
        for store in rooms.stores:
            store.publish_markers(marks)
        for store in rooms.stores:
            done.update(store.forget_person(clicks.event_ids, identifiers, marks))
        report["done"] = dict(done)
        if rooms.shop:
            of_shop = shop_forgetting.forget_customer(rooms.shop, customer_id, held, identifiers, marks)
            report["done"] |= {f"shop_{name}" if name == "dead_letters" else name: n for name, n in of_shop.items()}
        if rooms.live:
            report["done"] |= live_forgetting.forget_person(rooms.live, clicks.event_ids, identifiers, marks)
        pseudonyms = {each: marks.pseudonym(each) for each in identifiers}
        outbox = simulator_forgetting.forget(rooms.data_dir, pseudonyms)
        _erase(rooms, [*rooms.files(), *([outbox] if outbox else [])], identifiers)
        if rooms.live:
            live_forgetting.erase_traces(rooms.live, [*pseudonyms.values()])
        report["lake"] = rooms.make_lake_anew()
        if rooms.marts:
            report["done"]["marts"] = rooms.marts.forget_person(pseudonyms)
    found, searched = search(rooms, identifiers)
    if not dry_run and not found:
        (rooms.data_dir / BEGUN).unlink(missing_ok=True)
    return {**report, "found": found, "searched": searched, "out_of_reach": _out_of_reach(rooms, now_ms)}


def _marks(rooms: ForgettingRooms) -> Forgotten:
    """The markers of the data directory, with those that others have given to the stores."""
    marks = Forgotten(rooms.data_dir)
    for store in rooms.stores:
        store.adopt_markers(marks)
    return marks


def _begun(data_dir: Path, customer_id: str) -> list[str]:
    """The identifiers of a forgetting that did not come to its end: in the stores that have forgotten they are gone."""
    path = data_dir / BEGUN
    known: dict[str, list[str]] = json.loads(path.read_bytes()) if path.exists() else {}
    return known.get(customer_id, [])


def positions(rooms: ForgettingRooms, spans: Sequence[Span], *, now_ms: int, dry_run: bool) -> Report:
    """Forget where trucks were in spans of time.

    Returns:
        `{spans, at, dry_run, done, lake, left, out_of_reach}`; done: what was rewritten, or would be; left:
        samples of the spans that still have a position.
    """
    report: Report = {
        "spans": [span._asdict() for span in spans],
        "at": timestamps.from_ms(now_ms),
        "dry_run": dry_run,
        "done": Counter({"samples": 0, "dead_letters": 0}),
        "lake": None,
    }
    if not dry_run:
        marks = _marks(rooms)
        for span in spans:
            marks.add_span(span)
        for store in rooms.stores:
            store.publish_markers(marks)
        for span in spans:
            for store in rooms.stores:
                report["done"].update(store.forget_positions(span, marks))
            if rooms.live:
                report["done"].update(live_forgetting.forget_positions(rooms.live, span))
        _erase(rooms, rooms.files(), [])
        if rooms.live:
            live_forgetting.erase_traces(rooms.live, [], spans)
        report["lake"] = rooms.make_lake_anew()
        if rooms.marts:
            report["done"]["marts_until_the_next_build"] = rooms.marts.remove()
    report["left"] = sum(store.positions_left(span) for span in spans for store in rooms.stores)
    if dry_run:
        report["done"] = {"samples": report["left"]}
    if rooms.live:
        report["left"] += sum(live_forgetting.positions_left(rooms.live, span) for span in spans)
    return {**report, "out_of_reach": _out_of_reach(rooms, now_ms)}


def spans_of_driver(shop: Database, driver_id: str, begin: str, end: str) -> list[Span]:
    """When a driver had which truck, by the vehicle register, within a span of time."""
    found = []
    for version in Register(shop, VEHICLES).versions():
        if version["document"].get("driver_id") == driver_id:
            first = max(begin, version["effective_start_date"])
            last = min(end, version["effective_end_date"] or end)
            if first < last:
                found.append(Span(version["subject_id"], first, last))
    return found


def export(rooms: ForgettingRooms, customer_id: str) -> Report:
    """All that is held of a customer: `{customer_id, customer, orders, clicks}`, and `live_events` with Spark."""
    found: Report = {"customer_id": customer_id}
    if rooms.shop:
        found = shop_forgetting.export(rooms.shop, customer_id)
    clicks = rooms.person(customer_id)
    events = {str(each["event_id"]): each for store in rooms.stores for each in store.events(clicks.event_ids)}
    found["clicks"] = sorted(events.values(), key=lambda event: (event["timestamp"], event["event_id"]))
    if rooms.live:
        held = shop_forgetting.held(rooms.shop, customer_id).session_ids if rooms.shop else ()
        identifiers = {customer_id, *clicks.user_ids, *clicks.session_ids, *held}
        found["live_events"] = live_forgetting.events(rooms.live, clicks.event_ids, identifiers)
    return found


def search(rooms: ForgettingRooms, identifiers: Sequence[str]) -> tuple[list[Report], Report]:
    """Every file under the data directory, every table of the shop and of Spark's, for some identifiers.

    Returns:
        `[{place, identifier, hits}]`, and `{files, bytes}`: how much was read. Compressed files are read unpacked.
    """
    found: list[Report] = []
    files = size = 0
    parquet = []
    for path in _files(rooms.data_dir):
        files, size = files + 1, size + path.stat().st_size
        if path.suffix == ".parquet":
            parquet.append(path)
            continue
        for identifier, hits in _hits(path, identifiers).items():
            found.append({"place": str(path.relative_to(rooms.data_dir)), "identifier": identifier, "hits": hits})
    found += lake_forgetting.occurrences(parquet, identifiers)
    found += [each for store in rooms.stores for each in store.occurrences(identifiers)]
    found += rooms.marts.occurrences(identifiers) if rooms.marts else []
    if rooms.shop and not rooms.shop.is_sqlite:
        found += shop_forgetting.occurrences(rooms.shop, identifiers)
    if rooms.live:
        found += live_forgetting.occurrences(rooms.live, identifiers)
    return found, {"files": files, "bytes": size}


def _erase(rooms: ForgettingRooms, stores: Iterable[Path], identifiers: Sequence[str]) -> None:
    """Old pages, copies that a migration made, and lines of logs."""
    files = list(stores)
    if rooms.shop:
        shop_forgetting.erase_traces(rooms.shop)
        shop = Path(rooms.commerce.database_url(rooms.data_dir).partition(":///")[2])
        files += [shop] if rooms.shop.is_sqlite else []
    for path in files:
        sqlite_forgetting.erase_traces(path)
        for copy in path.parent.glob(f"{path.name}.v*.bak"):
            copy.unlink()
    for path in rooms.data_dir.glob("*.log*"):
        _overwrite(path, identifiers)


def _overwrite(path: Path, identifiers: Sequence[str]) -> None:
    """In place and of the same length, since whoever logs there appends meanwhile."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        for identifier in identifiers:
            wanted, at = identifier.encode(), -1
            while (at := content.find(wanted, at + 1)) >= 0:
                file.seek(at)
                file.write(b"*" * len(wanted))
        file.flush()
        os.fsync(file.fileno())


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, without the markers (keyed hashes only) and what is removed once nothing is found."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.name not in (MARKERS, SECRET, BEGUN):
            yield path


def _hits(path: Path, identifiers: Sequence[str]) -> dict[str, int]:
    """How often each stands there, as UTF-8 and as JSON escapes it."""
    wanted = {each: {each.encode(), json.dumps(each)[1:-1].encode()} for each in identifiers}
    longest = max((len(form) for forms in wanted.values() for form in forms), default=1)
    counts = dict.fromkeys(identifiers, 0)
    open_it: Callable[[Path], Any] = gzip.open if path.suffix == ".gz" else Path.open
    tail = b""
    with open_it(path, "rb") as file:  # type: ignore[call-arg]
        while chunk := file.read(_CHUNK):
            window = tail + chunk
            for identifier, forms in wanted.items():
                counts[identifier] += sum(window.count(form) - tail.count(form) for form in forms)
            tail = window[-(longest - 1) :] if longest > 1 else b""
    return {identifier: count for identifier, count in counts.items() if count}


def _out_of_reach(rooms: ForgettingRooms, now_ms: int) -> list[Report]:
    """What this command cannot reach, and until when it may hold something."""
    buffers = timestamps.to_datetime(timestamps.from_ms(now_ms)) + timedelta(days=_BUFFER_DAYS)
    found: list[Report] = [
        {"place": "backups made by `milepost backup` (restore, then forget again)", "until": None},
        {"place": "trucks' buffers: samples already sent (docs/forget.md)", "until": timestamps.from_datetime(buffers)},
    ]
    found += [each for store in rooms.stores for each in store.out_of_reach(now_ms)]
    if rooms.live:
        found.append(
            {"place": "Kafka's records, by the topics' retention (no reader writes them anywhere)", "until": None}
        )
        found.append(
            {"place": "Spark's checkpoints: open hours and sessions, until the watermark is past them", "until": None}
        )
    if rooms.live or (rooms.shop and not rooms.shop.is_sqlite):
        found.append({"place": "PostgreSQL's write-ahead log and base backups, by its own retention", "until": None})
    return found
