"""Crawlers, wrong clocks and bursts: what is planted goes with the events, and the collector makes the right of it."""

import json
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

from contract import timestamps
from simulator import sent_ledger
from simulator.odd_shoppers import clock_error, oddity, pause
from simulator.shoppers import Shop
from tests.standalone.up import Up
from tests.waiting import until


def test_odd_ones_are_as_many_as_was_said_and_of_each_kind() -> None:
    found = [oddity(number, 0.3) for number in range(1, 101)]
    assert [found.count(kind) for kind in ("crawler", "wrong_clock", "bursts", None)] == [10, 10, 10, 70]
    assert {oddity(number, 0.0) for number in range(1, 101)} == {None}


def test_bursts_are_as_many_events_in_the_long_run() -> None:
    dice = Random(1)
    pauses = [pause(dice, 2.0) for _ in range(100_000)]
    assert 0.45 < mean(pauses) < 0.55
    assert sum(each < 0.1 for each in pauses) > 90_000


def test_a_robot_is_known_and_a_wrong_clock_corrected(tmp_path: Path) -> None:
    """Through the real door into the real store, beside shoppers that are not odd."""
    up = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0"])
    url = up.start()["http"]
    database = f"{(up.folder / 'milepost.db').as_uri()}?mode=ro"
    shop = Shop(12, url, tmp_path / sent_ledger.OUTBOX, rate=30.0, drain=90.0, seed=1, odd=0.5)
    stop = threading.Event()
    running = threading.Thread(target=shop.run, args=(stop,), daemon=True)
    began = datetime.now(UTC)

    def counted() -> list[tuple[str, dict[str, Any]]]:
        with closing(sqlite3.connect(database, uri=True)) as store:
            return [(at, json.loads(text)) for at, text in store.execute("SELECT timestamp, text FROM clicks")]

    try:
        running.start()
        until(lambda: len({name(event) for _, event in counted()}) == 12)
        stop.set()
        running.join(120)
        ended = datetime.now(UTC)
        sent, rows = sent_ledger.clicks(tmp_path), counted()
    finally:
        stop.set()
        up.end()
    assert (len(rows), sent.open, sent.rejected) == (sent.sent, 0, 0)
    for at, _ in rows:
        assert began - timedelta(minutes=1) < timestamps.to_datetime(at) < ended + timedelta(minutes=1)
    robots = {name(event) for _, event in rows if event.get("is_bot")}
    assert robots == {f"shopper-{n:03}" for n in range(1, 13) if oddity(n, 0.5) == "crawler"}
    assert not robots & {name(event) for _, event in rows if not event.get("is_bot")}
    errors = {name(event): event["properties"]["clock_error_s"] for _, event in rows if event.get("properties")}
    assert errors == {
        f"shopper-{n:03}": clock_error(n).total_seconds() for n in range(1, 13) if oddity(n, 0.5) == "wrong_clock"
    }


def name(event: dict[str, Any]) -> str:
    """Of the shopper, whichever of its browsers it was."""
    return str(event["user_id"])[:11]
