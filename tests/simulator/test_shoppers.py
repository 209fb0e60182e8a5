"""Shoppers lose no event, whatever the beacon does and whenever they are killed."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contract.click_records import read_click
from contract.errors import Misconfigured
from simulator import sent_ledger
from simulator.outbox import Closing, Outbox
from simulator.shopper import Shopper, bought_lines
from simulator.shoppers import Shop

COMMAND = [sys.executable, "-m", "simulator.cli", "shoppers"]


def _shop(folder: Path, url: str, **changes: Any) -> Shop:
    given: dict[str, Any] = {"count": 4, "rate": 25.0, "drain": 20.0, "seed": 1, **changes}
    return Shop(url=url, outbox=folder / sent_ledger.OUTBOX, **given)


def test_shoppers_walk_through_the_funnel() -> None:
    """Every event is one that the contract accepts; carts are filled before they are emptied or bought."""
    now = datetime.now(UTC)
    shopper, seen, carts = Shopper(1, 1), Counter[str](), Counter[tuple[str, str]]()
    for _ in range(2000):
        event = shopper.next(now)
        assert not read_click(event, received_ms=int(now.timestamp() * 1000)).warnings
        seen[event["event_type"]] += 1
        place = (event["session_id"], event.get("item_id", ""))
        if event["event_type"] == "add_to_cart":
            carts[place] += 1
        if event["event_type"] in ("remove_from_cart", "purchase"):
            for line in bought_lines(event) if event["event_type"] == "purchase" else [event]:
                place = (event["session_id"], line["item_id"])
                carts[place] -= line["quantity"]
                assert carts[place] >= 0
    assert set(seen) == {
        "page_view",
        "view",
        "click",
        "add_to_cart",
        "remove_from_cart",
        "purchase",
        "search",
        "identify",
    }
    assert seen["view"] > seen["click"] > seen["add_to_cart"] > seen["purchase"] > 0


def test_nothing_is_lost_to_a_beacon_that_fails(beacon: Any, tmp_path: Path) -> None:
    """503, broken connections after storing, 500 and missing receipts: each event arrives, under its one event_id."""
    beacon.odds = {"shed": 0.15, "drop": 0.1, "error": 0.1, "forget": 0.1}
    _shop(tmp_path, beacon.url).run(threading.Event(), seconds=2.5)
    beacon.odds = {}
    _shop(tmp_path, beacon.url, count=0).run(threading.Event())
    sent = sent_ledger.clicks(tmp_path)
    assert sent.sent > 100
    assert (sent.open, sent.rejected) == (0, 0)
    assert set(sent.event_ids()) == set(beacon.stored)
    assert max(beacon.stored.values()) > 1


def test_singles_batches_and_repeats_are_all_sent(beacon: Any, tmp_path: Path, wait: Any) -> None:
    """A healthy beacon sees one event a request, several, and now and then one twice on purpose."""
    stop = threading.Event()
    running = threading.Thread(target=_shop(tmp_path, beacon.url).run, args=(stop,))
    running.start()
    wait(lambda: sum(list(beacon.stored.values())) > len(beacon.stored) and min(beacon.batches) < max(beacon.batches))
    stop.set()
    running.join()
    assert min(beacon.batches) == 1
    assert len(beacon.stored) == sent_ledger.clicks(tmp_path).sent


def test_what_the_beacon_rejects_is_closed_as_rejected(beacon: Any, tmp_path: Path) -> None:
    """By a receipt, or because a body alone is over its limit; the rest of a batch is not held up."""
    beacon.refuse = ("search",)
    beacon.max_bytes = 600
    outbox = Outbox(tmp_path / sent_ledger.OUTBOX)
    shopper = Shopper(1, 1)
    events = [shopper.next(datetime.now(UTC)) for _ in range(60)]
    outbox.add([*events, {**events[0], "event_id": "too-large", "page": "/" + "x" * 600}])
    outbox.close()
    _shop(tmp_path, beacon.url, count=0).run(threading.Event())
    sent = sent_ledger.clicks(tmp_path)
    searches = [event["event_id"] for event in events if event["event_type"] == "search"]
    assert searches
    assert sorted(sent.event_ids("rejected")) == sorted([*searches, "too-large"])
    assert (sent.sent, sent.open, sent.rejected) == (61, 0, len(searches) + 1)


def test_the_drain_is_bounded_and_the_next_run_goes_on(beacon: Any, tmp_path: Path) -> None:
    """Without a beacon the events stay open; when there is one again they are sent, by the next run."""
    began = time.monotonic()
    _shop(tmp_path, "http://127.0.0.1:9", drain=0.5).run(threading.Event(), seconds=0.5)
    assert time.monotonic() - began < 60
    left = sent_ledger.clicks(tmp_path)
    assert left.open == left.sent > 0
    _shop(tmp_path, beacon.url, count=0).run(threading.Event())
    assert sent_ledger.clicks(tmp_path).open == 0
    assert set(beacon.stored) == set(left.event_ids())


def test_a_killed_process_loses_nothing(beacon: Any, tmp_path: Path, wait: Any) -> None:
    """SIGKILL at three moments, then a run that is ended by SIGTERM: exit 0, one document, all events closed."""
    beacon.odds = {"drop": 0.1}
    command = [*COMMAND, "--count", "4", "--rate", "30", "--url", beacon.url, "--data-dir", str(tmp_path)]
    for round_ in range(1, 4):
        process = subprocess.Popen([*command, "--seed", str(round_)], stderr=subprocess.DEVNULL)
        wait(lambda wanted=60 * round_: len(beacon.stored) >= wanted)
        process.kill()
        process.wait()
    beacon.odds = {}
    before = len(beacon.stored)
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait(lambda: len(beacon.stored) > before + 20)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    sent = sent_ledger.clicks(tmp_path)
    assert process.returncode == 0
    assert json.loads(output) == {"sent": sent.sent, "open": 0, "rejected": 0}
    assert set(sent.event_ids()) == set(beacon.stored)


def test_a_second_signal_ends_it_at_once(tmp_path: Path, wait: Any) -> None:
    """Also while it is still trying to reach a beacon that is not there."""
    command = [*COMMAND, "--rate", "50", "--url", "http://127.0.0.1:9", "--data-dir", str(tmp_path), "--drain", "600"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait(lambda: sent_ledger.clicks(tmp_path).sent > 0)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("stopping" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")


def test_the_first_receipt_counts(tmp_path: Path) -> None:
    """A repeat's `duplicate` does not undo what the first answer said; unknown statuses leave an event open."""
    outbox = Outbox(tmp_path / sent_ledger.OUTBOX)
    outbox.add([{"event_id": "a"}, {"event_id": "b"}])
    outbox.close_events([Closing("a", "accepted"), Closing("a", "duplicate"), Closing("b", "perhaps")])
    assert [event.event_id for event in outbox.open_events(10)] == ["b"]
    assert list(sent_ledger.clicks(tmp_path).event_ids("accepted")) == ["a"]
    outbox.close()


def test_a_newer_outbox_is_refused(tmp_path: Path) -> None:
    """Else an older simulator would misread it."""
    path = tmp_path / sent_ledger.OUTBOX
    Outbox(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(Misconfigured, match="version 9"):
        Outbox(path)


def test_an_empty_folder_is_an_empty_ledger(tmp_path: Path) -> None:
    """So that the summary of a run without shoppers or trucks needs no special case."""
    assert sent_ledger.sampled(tmp_path) == {}
    nothing = sent_ledger.clicks(tmp_path)
    assert (nothing.sent, nothing.open, nothing.rejected, list(nothing.event_ids())) == (0, 0, 0, [])
