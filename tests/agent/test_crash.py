"""A real agent process, a real mosquitto and the real collector: whatever is killed and whenever, each number ends up
with the collector exactly once.

SIGKILL of the agent at random moments and at exact ones (a sample is committed and not yet published; published and not
yet marked), and of the broker, which then has forgotten what it acknowledged: gap repair asks the truck for it. Again
in the long form: `make prove`, or `MILEPOST_PROVE=1 pytest -m prove -s tests/agent/test_crash.py`.
"""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.live import MOSQUITTO
from tests.agent.process import Process
from tests.agent.trucks import TRUCK
from tests.standalone.up import Up
from tests.waiting import until

pytestmark = pytest.mark.skipif(not MOSQUITTO, reason="mosquitto is not installed: apt-get install mosquitto")
EXACT = ("committed", "published", "marked")
PATIENCE = 300.0
"""Seconds. What the broker forgot of an answer, too, is asked for again after a minute, then after two."""
REPORTS = "time_patience = 0\nreport_interval = 30\n"
"""A report that the broker forgot is made good by the next one: not after a quarter of an hour here."""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Up]:
    """`milepost up` without trucks and shoppers of its own."""
    up = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0"])
    yield up
    if up.process and up.process.poll() is None:
        up.process.kill()
        up.process.communicate()


@pytest.fixture
def agent(box: Up, tmp_path: Path) -> Iterator[Process]:
    """An agent towards it, dead at the end."""
    process = Process(tmp_path / "truck", box.start()["mqtt"], more=REPORTS)
    yield process
    process.kill()


def _kill_something(agent: Process, box: Up, chance: random.Random, number: int) -> None:
    """One of five is the broker; one of five is the agent by its own hand; the others are the agent, anywhere."""
    if number % 5 == 4:
        time.sleep(chance.uniform(0.3, 1.0))
        before = box.ready()
        box.kill_broker()
        until(lambda: box.ready() != before)
    elif number % 5 == 2:
        agent.kill()
        agent.start("tests.agent.kamikaze", chance.choice(EXACT), str(chance.randrange(1, 60)))
        if not agent.wait_for_its_death(8):
            agent.kill()
        agent.start()
    else:
        time.sleep(chance.uniform(0.3, 1.2))
        agent.kill()
        agent.start()


def _row(box: Up) -> dict[str, Any]:
    rows = [row for row in box.ask("audit")["trucks"] if row["truck_id"] == TRUCK]
    return rows[0] if len(rows) == 1 else {"holes": [[0, 0]], "rows": rows}


def _settled(agent: Process, box: Up) -> bool:
    """Nothing waits on the truck, and the collector knows how far its numbers go and misses none of them."""
    seen, row = agent.glance(), _row(box)
    return bool(seen and not seen.pending and row.get("highest_seq") == seen.highest_seq and not row["holes"])


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kills", [pytest.param(5), pytest.param(200, marks=pytest.mark.prove)])
def test_each_number_arrives_exactly_once_whatever_is_killed(agent: Process, box: Up, kills: int) -> None:
    chance = random.Random(kills)
    agent.start()
    highest = 0
    for number in range(kills):
        _kill_something(agent, box, chance, number)
        seen = agent.glance()
        assert seen is None or seen.highest_seq >= highest, "a number was given out twice"
        highest = seen.highest_seq if seen else 0
    until(lambda: (seen := agent.glance()) and seen.highest_seq > highest + 10)
    agent.terminate()
    agent.configure(interval=3600)  # no new samples: only what is missing goes over the line
    starts = agent.log.read_text().count("agent_started")
    agent.start()
    until(lambda: agent.log.read_text().count("agent_started") > starts)  # it may have nothing left to do
    until(lambda: _settled(agent, box), PATIENCE)
    tally = agent.terminate()
    last = agent.glance()
    assert last
    row = _row(box)
    asked = sum(int(count) for count in re.findall(r"resend asked=\d+ again=(\d+)", agent.log.read_text()))
    print(f"\n{kills} kills, {last.highest_seq} samples, {asked} that the broker forgot were asked for and sent again")
    assert (row["highest_seq"], row["received"]) == (last.highest_seq, last.highest_seq)
    assert [row[kind] for kind in ("holes", "gone", "thinned", "dead_lettered", "conflicts")] == [[]] * 5
    assert box.ask("audit")["lost"] == 0
    assert tally["pending"] == 0
    assert box.process
    box.process.terminate()
    code, summary = box.finish()
    assert [row["counted_twice"] for row in summary["trucks"]] == [0]
    assert (code, summary["trucks"][0]["stored"]) == (0, last.highest_seq)


@pytest.mark.parametrize("moment", EXACT)
def test_a_kill_at_an_exact_moment(agent: Process, box: Up, moment: str) -> None:
    """Between commit and publish, between publish and answer, between answer and the note of it."""
    agent.start("tests.agent.kamikaze", moment, "12")
    assert agent.wait_for_its_death(20)
    seen = agent.glance()
    assert seen
    assert seen.highest_seq >= 1
    agent.start()
    until(lambda: (now := agent.glance()) and now.highest_seq > seen.highest_seq and not now.pending)
    agent.terminate()
    last = agent.glance()
    assert last
    until(lambda: _row(box).get("received") == last.highest_seq)
    assert [_row(box)[kind] for kind in ("holes", "gone", "conflicts")] == [[]] * 3
