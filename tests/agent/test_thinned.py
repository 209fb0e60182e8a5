"""Thinned from end to end: a real agent, a broker that forgets what it acknowledged, and the box that asks for it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agent.buffer.sqlite import SqliteBuffer
from agent.timing.clock import Moment
from contract.ranges import Ranges
from tests.agent.live import Broker
from tests.agent.process import Process
from tests.agent.trucks import TRUCK
from tests.standalone.up import Up
from tests.waiting import until

COUNT = 700
MORE = "time_patience = 0\nbuffer_limit = 1\n"
DOCUMENT = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "ballast": "x" * 4000}


def _months_away(path: Path) -> Ranges:
    """A buffer of 1 MB into which much more was sampled than fits; what it kept of it."""
    with SqliteBuffer(path, TRUCK, limit=1024 * 1024) as buffer:
        for number in range(COUNT):
            buffer.append(DOCUMENT, Moment(datetime(2026, 1, 31, tzinfo=UTC), "boot", float(number)))
        return buffer.pending_ranges()


def test_a_kept_sample_that_the_broker_forgot_is_asked_for_and_arrives(
    tmp_path: Path, make_broker: Callable[..., Broker]
) -> None:
    """All that was kept goes to a broker that acknowledges it for nobody. The collector hears of it only by a report,
    settles what was thinned and nothing else, and gets every sample that was kept."""
    truck = Process(tmp_path / "truck", make_broker().url, interval=3600, more=MORE)
    kept = _months_away(truck.buffer)
    assert COUNT / 10 < kept.count < COUNT / 2
    truck.start()
    until(lambda: (seen := truck.glance()) and not seen.pending)
    truck.terminate()
    box = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0"])
    try:
        truck = Process(tmp_path / "truck", box.start()["mqtt"], interval=3600, more=MORE)
        truck.start()
        until(lambda: box.ask("audit")["trucks"])
        until(lambda: not (row := box.ask("audit")["trucks"][0])["holes"] and row["received"] >= kept.count)
        audit = box.ask("audit")
    finally:
        truck.kill()
        if box.process:
            box.process.terminate()
            box.finish()
    [row] = audit["trucks"]
    assert (audit["lost"], row["gone"], row["received"]) == (0, [], kept.count + row["highest_seq"] - COUNT)
    assert json.dumps(row["thinned"]) == json.dumps((Ranges.of([(1, COUNT)]) - kept).as_lists())
