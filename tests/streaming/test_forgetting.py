"""`milepost forget` in the schema `live` of a real PostgreSQL: nothing of the person is left, and every count is."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.settings import CollectorSettings
from collector.stores.factory import open_store
from collector.streams import Record
from commerce.settings import CommerceSettings
from contract import timestamps
from contract.codec import dump
from contract.errors import Retryable
from contract.forgotten import Forgotten, Span
from contract.ingest_items import Item, Kind
from contract.ports import free_port
from standalone import forget
from standalone.forget import ForgettingRooms
from streaming import live_tables, raw_events
from streaming.decoding import rows
from streaming.forgotten_rows import WRITING
from tests import postgresql
from tests.collector.handlers.kafka_feed import click_records, telemetry_record
from tests.milepost_process import finish, start
from tests.streaming.spark import ask

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_MS = int(NOW.timestamp()) * 1000
BEGUN = NOW.replace(minute=0, second=0) - timedelta(hours=2)
HER = ("customer-Xena", "user-Xq7", "user-Xq8", "user-Xb9", "session-Xs1", "session-Xs2", "Xanten")
PLACE = ("48.1234", "11.5678", "512.75")
_COUNTED = (
    "topic",
    "partition",
    "offset",
    "received_at",
    "kind",
    "identity",
    "at",
    "document",
    "payload",
    "fault",
    "reason",
)


def at(seconds: int) -> str:
    return timestamps.from_datetime(BEGUN + timedelta(seconds=seconds))


def click(number: int, kind: str, user: str, session: str, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}", "event_type": kind, "timestamp": at(number), "user_id": user, "session_id": session,
        "page": "/items/MOB001", "item_id": "MOB001", "price": 10, "quantity": 1, **more,
    }  # fmt: skip


CLICKS = [
    click(1, "view", "user-Xq7", "session-Xs1", location="Xanten, DE", browser_id="user-Xb9"),
    click(2, "identify", "user-Xq7", "session-Xs1", customer_id="customer-Xena"),
    click(3, "purchase", "user-Xq7", "session-Xs1", customer_id="customer-Xena", order_id="O-1"),
    click(4, "view", "user-Xq8", "session-Xs2", customer_id="customer-Xena", page="/account/customer-Xena/orders"),
    click(5, "purchase", "user-other", "session-other", customer_id="customer-other", order_id="O-2"),
    click(6, "view", "user-nobody", "session-nobody"),
]
REFUSED = {"customer_id": "customer-Xena", "event_id": "e" * 129, "event_type": "view"}
SAMPLES = [
    {
        "schema_version": 1, "truck_id": truck, "stream_id": "s", "seq": seq, "sampled_at": at(seq * 60),
        "time_quality": "gps", "vehicle_speed": 50, "custom": {"latitude": 48.1234},
        "gps_location": {"latitude": 48.1234, "longitude": 11.5678, "altitude": 512.75, "speed": 50},
    }
    for truck in ("TRUCK-1", "TRUCK-10") for seq in (1, 2, 70)
]  # fmt: skip


class Live:
    """A data directory with two customers' clicks and two trucks' samples in it, and the live tables of the same."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        self.marks = Forgotten(folder)

    @property
    def rooms(self) -> ForgettingRooms:
        collector = CollectorSettings(data_dir=self.folder)
        stores = forget.stores_of(collector, None)
        return ForgettingRooms(collector, CommerceSettings(), None, stores, live=self.database)

    def collect(self) -> None:
        store = open_store(self.rooms.collector.store_url)
        taken = [Item("click", "http:clicks", each, NOW_MS) for each in [*CLICKS, REFUSED]]
        taken += [Item("telemetry", "http:telemetry", each, NOW_MS) for each in SAMPLES]
        Ingest(store, TrackingPolicy.of(None), forgotten=self.marks).ingest(taken)
        store.close()

    def write(self, *, batch_id: int = 0, run: str = "run", again: int = 0) -> None:
        """What the jobs write of the records in Kafka; `again`: by how much the records lie farther in their topics."""
        records: dict[Kind, list[Record]] = {
            "click": [record for each in [*CLICKS, REFUSED] for record in click_records([each])],
            "telemetry": [telemetry_record(each) for each in SAMPLES],
        }
        for kind, of_kind in records.items():
            written = [
                dict.fromkeys(("event_type", "session_id", "order_id", "currency", "is_bot", "lines", "truck_id"))
                | dict(row.fields)
                | {"topic": kind, "partition": 0, "offset": number + again, "received_at": NOW}
                | {name: getattr(row, name) for name in _COUNTED[4:]}
                for number, record in enumerate(of_kind)
                for row in rows(record.data, kind=kind, arrived_ms=NOW_MS, origin=f"{kind}:0:{number}")
            ]
            raw_events.keep(self.database, written, days=30, today=NOW.date(), marks=self.marks)
        sessions = [
            {"session_id": name, "started_at": BEGUN + timedelta(seconds=first), "ended_at": NOW, "events": 1}
            for first, name in ((1, "session-Xs1"), (4, "session-Xs2"), (5, "session-other"))
        ]
        hours = [
            {"hour": BEGUN + timedelta(hours=hour), "truck_id": truck, "samples": 2 - hour, "speed_max": 50.0,
             **dict.fromkeys(("gps_altitude_min", "gps_altitude_mean", "gps_altitude_max"), 512.75)}
            for truck in ("TRUCK-1", "TRUCK-10") for hour in (0, 1)
        ]  # fmt: skip
        for table, counted in (("session", sessions), ("truck_hour", hours)):
            live_tables.upsert(self.database, table, counted, run=run, batch_id=batch_id, marks=self.marks)

    def forget(self) -> dict[str, Any]:
        return forget.customer(self.rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)

    def text(self) -> str:
        """Every row of every table of the schema, by plain reading, bytes as text."""
        names = [name for (name,) in ask(self.database, "SELECT tablename FROM pg_tables WHERE schemaname = 'live'")]
        found = []
        with psycopg.connect(self.database) as connection:
            for name in names:
                rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier("live", name)))
                found += [" ".join(map(str, row)) for row in rows.fetchall()]
        return "\n".join(found)

    def files(self, words: tuple[str, ...]) -> set[str]:
        """Words that stand in the files of the live tables themselves."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
            paths = connection.execute(
                "SELECT pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE nspname = 'live' AND relkind IN ('r', 'i', 't')"
            ).fetchall()
        return {word for (path,) in paths for word in words if word.encode() in (Path(folder) / path).read_bytes()}

    def numbers(self) -> list[Any]:
        """What is counted."""
        asked = (
            "SELECT kind, count(*), count(DISTINCT identity) FROM live.raw_event GROUP BY 1 ORDER BY 1",
            "SELECT count(*), count(DISTINCT session_id), sum(events) FROM live.session",
            "SELECT sale_id, currency, lines FROM live.sale ORDER BY 1",
            "SELECT count(*), sum(samples), max(speed_max) FROM live.truck_hour",
            "SELECT hour, purchases, sessions, conversion FROM live.traffic ORDER BY 1",
            "SELECT count(*) FROM live.quarantine",
        )
        return [ask(self.database, each) for each in asked]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def live(cluster: str, request: pytest.FixtureRequest, tmp_path: Path) -> Live:
    database = postgresql.database(cluster, request.node.name[5:60])
    live_tables.migrate(database)
    found = Live(tmp_path, database)
    found.collect()
    found.write()
    return found


def test_nothing_of_her_is_left_in_rows_or_files_and_every_number_is(live: Live) -> None:
    before = live.numbers()
    assert live.files(HER) == set(HER)
    report = live.forget()
    assert report["found"] == []
    done = {name: count for name, count in report["done"].items() if name.startswith("live_")}
    assert done == {"live_raw_events": 4, "live_sessions": 2, "live_sales": 1, "live_refused": 1}
    assert [word for word in HER if word in live.text()] == []
    assert live.files(HER) == set()
    assert live.numbers() == before
    kept = json.loads(ask(live.database, "SELECT document FROM live.raw_event WHERE identity = 'e1'")[0][0])
    assert (kept["item_id"], kept["user_id"]) == ("MOB001", live.marks.pseudonym("user-Xq7"))


def test_others_stay_as_they_are(live: Live) -> None:
    asked = "SELECT document FROM live.raw_event WHERE identity IN ('e5', 'e6') OR kind = 'telemetry' ORDER BY 1"
    before = ask(live.database, asked)
    live.forget()
    assert ask(live.database, asked) == before
    assert "session-other" in live.text()


def test_no_later_batch_revives_her(live: Live) -> None:
    """Neither a repeated one, nor a job that reads Kafka from its beginning, nor a session that was still open."""
    live.forget()
    before = live.numbers()
    live.write()
    live.write(batch_id=7)
    assert live.numbers() == before
    live.write(run="another", again=100)
    assert [word for word in HER if word in live.text()] == []
    assert live.numbers()[1:4] == before[1:4]
    assert forget.search(live.rooms, HER)[0] == []


def test_a_batch_that_was_under_way_is_waited_for_and_forgotten_too(live: Live) -> None:
    """Read before there were markers, not committed when the forgetting begins."""
    late = click(8, "view", "user-Xq7", "session-Xs1", customer_id="customer-Xena")
    said = ["--customer", "customer-Xena", "--data-dir", live.folder, "--json"]
    with psycopg.connect(live.database) as batch:
        batch.execute(WRITING)
        batch.execute(
            'INSERT INTO live.raw_event (topic, "partition", "offset", identity, kind, at, received_at, document)'
            " VALUES ('click', 0, 50, 'e8', 'click', now(), %s, %s)",
            [NOW, dump(late)],
        )
        forgetting = start("forget", *said, MILEPOST_STREAMING__DATABASE=live.database)
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not ask(live.database, waiting)[0][0]:
            assert forgetting.poll() is None
            time.sleep(0.05)
    done = finish(forgetting)
    assert (done.code, done.json["done"]["live_raw_events"], done.json["found"]) == (0, 5, [])
    assert [word for word in HER if word in live.text()] == []


def test_an_export_has_what_the_live_tables_hold(live: Live) -> None:
    found = forget.export(live.rooms, "customer-Xena")
    assert [each["event_id"] for each in found["live_events"]] == ["e1", "e2", "e3", "e4"]


def test_a_truck_s_positions_go_and_another_s_stay(live: Live) -> None:
    """Of TRUCK-1, not of TRUCK-10; the altitude of the hours that the span reaches into, the speed of none."""
    before = live.numbers()
    span = Span("TRUCK-1", at(0), at(150))
    report = forget.positions(live.rooms, [span], now_ms=NOW_MS, dry_run=False)
    assert (report["done"]["live_raw_events"], report["left"]) == (2, 0)
    places = "SELECT identity FROM live.raw_event WHERE document LIKE '%%48.1234%%' OR document LIKE '%%512.75%%'"
    kept = sorted(identity.split()[0] for (identity,) in ask(live.database, places))
    assert kept == ["TRUCK-1", "TRUCK-10", "TRUCK-10", "TRUCK-10"]
    altitudes = "SELECT truck_id, gps_altitude_max FROM live.truck_hour ORDER BY truck_id, hour"
    wanted = [("TRUCK-1", None), ("TRUCK-1", 512.75), ("TRUCK-10", 512.75), ("TRUCK-10", 512.75)]
    assert ask(live.database, altitudes) == wanted
    assert live.numbers() == before
    live.write(batch_id=9)
    assert ask(live.database, altitudes) == wanted
    forget.positions(live.rooms, [span._replace(truck_id=each, end=at(9000)) for each in ("TRUCK-1", "TRUCK-10")],
                     now_ms=NOW_MS, dry_run=False)  # fmt: skip
    assert live.files(PLACE) == set()


def test_a_database_that_is_away_is_told_and_the_same_command_does_the_rest(live: Live) -> None:
    away = f"postgresql://milepost@127.0.0.1:{free_port()}/live"
    rooms = ForgettingRooms(live.rooms.collector, live.rooms.commerce, None, live.rooms.stores, live=away)
    with pytest.raises(Retryable, match=r"\[streaming\] database does not answer"):
        forget.customer(rooms, "customer-Xena", now_ms=NOW_MS + 60_000, dry_run=False)
    report = live.forget()
    assert (report["found"], report["done"]["live_sessions"]) == ([], 2)
    assert [word for word in HER if word in live.text()] == []


def test_a_database_without_live_tables_has_nothing_to_forget(cluster: str, tmp_path: Path) -> None:
    bare = Live(tmp_path, postgresql.database(cluster, "without_live"))
    bare.collect()
    report = bare.forget()
    assert (report["found"], "live_sessions" in report["done"]) == ([], False)
