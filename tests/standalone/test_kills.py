"""Nothing is lost and nothing counted twice, whatever is killed and whenever (SIGKILL, real processes)."""

import os
import random
import time
from typing import Any

import pytest

from tests.standalone.up import Up
from tests.waiting import until

LONG = bool(os.environ.get("MILEPOST_PROVE"))
OPTIONS = ["--trucks", "3", "--shoppers", "2", "--speedup", "600"]


def _begin(up: Up) -> None:
    """Start it; until every truck and a shopper have sent something, so that the counts at the end are of something."""
    up.options = OPTIONS
    up.start()
    until(lambda: up.ask("clicks", "--by", "item") and len(up.ask("trucks")) == 3)


def _end(up: Up, kills: int, what: str) -> None:
    """Let a last run drain, and hold every count against the ledgers of what was sent."""
    up.start("--minutes", "0.05")
    code, summary = up.finish()
    audit = up.ask("audit")
    counted: list[dict[str, Any]] = up.ask("clicks", "--by", "item")
    asked = sum(row["highest_seq"] for row in audit["trucks"])
    print(f"\n{what}: {kills} kills, {asked} samples, {summary['clicks']['sent']} clicks")
    assert audit["lost"] == 0
    assert all(row["holes"] == [] for row in audit["trucks"]), audit
    assert summary["clicks"]["sent"] == summary["clicks"]["counted"] > 0
    assert sum(row["count"] for row in counted) == summary["clicks"]["counted"]
    assert all(row["counted_twice"] == 0 and row["sampled"] == row["stored"] > 0 for row in summary["trucks"]), summary
    assert code == 0
    assert up.ask("verify") == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(30, marks=pytest.mark.prove)])
def test_killing_everything_at_random_moments(up: Up, kills: int) -> None:
    """SIGKILL of `milepost up`, restarted on the same data directory."""
    moments = random.Random(kills)
    _begin(up)
    up.kill()
    for _ in range(kills):
        up.start()
        time.sleep(moments.uniform(0.0, 6.0))
        up.kill()
    _end(up, kills, "milepost up")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [pytest.param(2), pytest.param(30, marks=pytest.mark.prove)])
def test_killing_the_broker_at_random_moments(up: Up, kills: int) -> None:
    """SIGKILL of mosquitto alone, which forgets what it acknowledged; the box restarts it, gap repair heals."""
    moments = random.Random(100 + kills)
    _begin(up)
    for _ in range(kills):
        time.sleep(moments.uniform(0.5, 4.0))
        before = up.ready()
        up.kill_broker()
        deadline = time.monotonic() + 90
        while up.ready() == before:
            assert time.monotonic() < deadline, "the broker was not restarted"
            time.sleep(0.05)
    # What a kill took from the broker with the ask for it is asked for again after a minute, then after two.
    until(lambda: all(row["holes"] == [] for row in up.ask("audit")["trucks"]), 420)
    assert up.process
    up.process.terminate()
    assert up.finish()[0] == 0
    _end(up, kills, "mosquitto")
