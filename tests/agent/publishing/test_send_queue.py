"""Which samples go next, on a real buffer and without a network."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.sqlite import SqliteBuffer
from agent.publishing.batch_window import BatchWindow
from agent.publishing.in_flight import OutgoingMessage
from agent.publishing.send_queue import LIVE_AT_MOST, SendQueue
from agent.transport import BrokerLimits
from contract.ranges import Ranges

PAYLOAD = 131_072


class Bench:
    """Lanes on a buffer, and the other end of the line. `now` is the time; `arrived` what was delivered, in order.

    send_interval: seconds that live samples wait for each other, the whole of it from the first on.
    """

    def __init__(self, folder: Path, limits: BrokerLimits | None = None, *, send_interval: float = 0) -> None:
        self.now = 0.0
        self.buffer = SqliteBuffer(folder / "b.db", "T1")
        self.gathering = BatchWindow(send_interval, lambda: self.now, lambda: 1)
        self.lanes = SendQueue(self.buffer, limits or BrokerLimits(), lambda: self.now, self.gathering)
        self.token = 0
        self.arrived: list[int] = []

    def sample(self, count: int = 1, size: int = 0) -> None:
        """Store samples of about `size` bytes."""
        for _ in range(count):
            self.buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z", "x": "x" * size})

    def take(self) -> tuple[int, OutgoingMessage] | None:
        """What goes next."""
        parcel = self.lanes.next()
        if parcel is None:
            return None
        self.token += 1
        self.lanes.sent(self.token, parcel)
        return self.token, parcel

    def take_all(self) -> list[tuple[int, OutgoingMessage]]:
        """All that goes without an answer."""
        found = []
        while taken := self.take():
            found.append(taken)
        return found

    def deliver(self, token: int) -> None:
        """A PUBACK comes."""
        seqs = self.lanes.delivered((token,))
        self.arrived.extend(seqs)
        self.buffer.mark_sent(seqs, at="2026-01-31T12:00:01.000Z")
        self.lanes.marked()

    def deliver_all(self) -> list[OutgoingMessage]:
        """Take and deliver until nothing goes any more."""
        found = []
        while taken := self.take():
            found.append(taken[1])
            self.deliver(taken[0])
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Lanes with IoT Core's limits."""
    one = Bench(tmp_path)
    yield one
    one.buffer.close()


def test_what_arrived_is_not_sent_again_while_a_full_disk_takes_no_mark(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.sample(3)
    bench.lanes.connected(PAYLOAD)
    token, newest = bench.take() or pytest.fail("nothing to send")
    bench.lanes.delivered((token,))
    assert newest.seqs == (3,)
    assert [parcel.seqs for _, parcel in bench.take_all()] == [(1, 2)]
    bench.lanes.connected(PAYLOAD)
    assert all(3 not in parcel.seqs for _, parcel in bench.take_all())


def test_after_reconnecting_the_newest_goes_first_alone_then_the_backlog_in_batches(bench: Bench) -> None:
    bench.sample(251)
    bench.lanes.connected(PAYLOAD)
    parcels = bench.deliver_all()
    assert [(parcel.seqs[0], parcel.seqs[-1], parcel.batch) for parcel in parcels] == [
        (251, 251, False),
        (1, 100, True),
        (101, 200, True),
        (201, 250, True),
    ]
    assert [r["seq"] for r in json.loads(parcels[1].payload)["records"]] == list(range(1, 101))
    assert bench.lanes.idle()


def test_a_live_sample_overtakes_the_backlog(bench: Bench) -> None:
    bench.sample(500)
    bench.lanes.connected(PAYLOAD)
    bench.take(), bench.take()
    bench.sample()
    taken = bench.take()
    assert taken
    assert taken[1].seqs == (501,)


def test_too_many_live_samples_become_backlog_but_for_the_newest(bench: Bench) -> None:
    bench.lanes.connected(PAYLOAD)
    bench.sample(LIVE_AT_MOST + 1)
    parcels = bench.deliver_all()
    assert [len(parcel.seqs) for parcel in parcels] == [1, LIVE_AT_MOST]
    assert parcels[0].seqs == (LIVE_AT_MOST + 1,)


def test_live_samples_wait_for_each_other_and_overtake_the_backlog_together(tmp_path: Path) -> None:
    """The newest at once on connecting; those after it when the time is over, and until then `wait` tells when."""
    bench = Bench(tmp_path, send_interval=300)
    bench.sample(500)
    bench.lanes.connected(PAYLOAD)
    newest = bench.take()
    assert newest
    assert newest[1].seqs == (500,)
    for _ in range(4):
        bench.now += 60
        bench.sample()
    backlog = bench.take()
    assert backlog
    assert backlog[1].backlog
    assert bench.lanes.wait() == 60
    bench.now += 60
    bench.sample()
    taken = bench.take()
    assert taken
    assert (taken[1].seqs, taken[1].backlog) == ((501, 502, 503, 504, 505), False)
    bench.sample()
    assert all(parcel.backlog for parcel in bench.deliver_all())
    bench.lanes.lost()
    bench.lanes.connected(PAYLOAD)
    assert bench.deliver_all()[0].seqs == (506,)
    bench.buffer.close()


def test_live_samples_together_stay_within_the_limits_of_a_message(tmp_path: Path) -> None:
    """In records and in bytes; what does not fit goes in the next one, at once too."""
    bench = Bench(tmp_path, BrokerLimits(records=10, batch_bytes=4000), send_interval=300)
    bench.lanes.connected(PAYLOAD)
    bench.sample()
    bench.deliver_all()
    bench.sample(12)
    bench.sample(6, size=1000)
    bench.now += 300
    parcels = bench.deliver_all()
    assert [len(parcel.seqs) for parcel in parcels] == [10, 5, 3]
    assert all(len(parcel.payload) <= 4000 and not parcel.backlog for parcel in parcels)
    assert bench.arrived == list(range(1, 20))
    bench.buffer.close()


def test_batches_and_what_travels_stay_within_the_limits(bench: Bench) -> None:
    bench.sample(400, size=5000)
    bench.lanes.connected(PAYLOAD)
    parcels = [parcel for _, parcel in bench.take_all()]
    assert all(len(parcel.payload) <= 120_000 for parcel in parcels)
    assert sum(len(parcel.payload) for parcel in parcels if parcel.backlog) <= bench.lanes._limits.backlog_in_flight
    assert 2 <= len(parcels) <= 4


def test_a_smaller_broker_gets_smaller_batches(bench: Bench) -> None:
    bench.sample(50, size=1000)
    bench.lanes.connected(4000)
    assert all(len(parcel.payload) <= 4000 for parcel in bench.deliver_all())
    assert sorted(bench.arrived) == list(range(1, 51))


def test_what_travelled_when_the_connection_ended_goes_again(bench: Bench) -> None:
    bench.sample(5)
    bench.lanes.connected(PAYLOAD)
    old = bench.take_all()
    bench.lanes.lost()
    bench.lanes.connected(PAYLOAD)
    assert bench.lanes.delivered(tuple(token for token, _ in old)) == []
    bench.deliver_all()
    assert sorted(bench.arrived) == [1, 2, 3, 4, 5]


def test_asking_twice_sends_once(bench: Bench) -> None:
    """Duplicate asks collapse, also while what was asked for travels."""
    bench.sample(10)
    bench.lanes.connected(PAYLOAD)
    bench.deliver_all()
    bench.arrived.clear()
    for _ in range(3):
        bench.lanes.resend(bench.buffer.resend(Ranges.of([(3, 6)]))[0])
    token, parcel = bench.take() or (0, None)
    assert parcel
    assert parcel.seqs == (3, 4, 5, 6)
    bench.lanes.resend(bench.buffer.resend(Ranges.of([(3, 8)]))[0])
    bench.deliver(token)
    bench.deliver_all()
    assert bench.arrived == [3, 4, 5, 6, 7, 8]


def test_an_ask_in_the_middle_of_the_backlog_skips_nothing(bench: Bench) -> None:
    bench.sample(1000)
    bench.lanes.connected(PAYLOAD)
    for _ in range(4):
        bench.deliver((bench.take() or (0,))[0])
    bench.lanes.resend(bench.buffer.resend(Ranges.of([(150, 160), (350, 360)]))[0])
    bench.deliver_all()
    assert set(bench.arrived) == set(range(1, 1001))
    assert bench.buffer.counts().pending == 0


def test_refusals_slow_down_and_isolate_the_one_that_nobody_takes(bench: Bench) -> None:
    """Sample 42 is refused wherever it is: all others arrive, each on its way, and tries stay few and far between."""
    bench.sample(300)
    bench.lanes.connected(PAYLOAD)
    tries = 0
    while bench.now < 4 * 3600:
        while taken := bench.take():
            if 42 in taken[1].seqs:
                bench.lanes.refused(taken[0])
                tries += 1
            else:
                bench.deliver(taken[0])
        bench.now += max(0.5, min(60.0, bench.lanes.wait()))
    assert set(bench.arrived) == set(range(1, 301)) - {42}
    assert len(bench.arrived) == 299
    assert bench.buffer.pending_ranges().as_lists() == [[42, 42]]
    assert 4 <= tries <= 12


def test_a_broker_that_refuses_all_is_not_asked_in_a_hot_loop(bench: Bench) -> None:
    bench.sample(1000)
    bench.lanes.connected(PAYLOAD)
    tries = 0
    while bench.now < 3600:
        while taken := bench.take():
            bench.lanes.refused(taken[0])
            tries += 1
        bench.now += max(0.5, min(60.0, bench.lanes.wait()))
    assert tries < 60
    assert bench.buffer.counts().pending == 1000


def test_what_was_refused_waits_also_across_reconnects(bench: Bench) -> None:
    """mosquitto ends the connection after a refusal; the refused sample must not be the first thing on the next."""
    bench.sample(200)
    for _ in range(5):
        bench.lanes.connected(PAYLOAD)
        while taken := bench.take():
            if 200 in taken[1].seqs or 1 in taken[1].seqs:
                bench.lanes.refused(taken[0])
                bench.lanes.lost()
                break
            bench.deliver(taken[0])
        bench.now += 5
    assert bench.arrived == list(range(101, 200))


@settings(max_examples=30)
@given(st.data())
def test_whatever_happens_everything_arrives(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Samples, deliveries in any order, refusals, losses and asks in any mixture: in the end nothing is pending."""
    gathers = data.draw(st.sampled_from([0, 30]))
    bench = Bench(tmp_path_factory.mktemp("lanes"), BrokerLimits(window=8, records=4), send_interval=gathers)
    travelling: list[int] = []
    bench.lanes.connected(PAYLOAD)
    for _ in range(data.draw(st.integers(1, 60))):
        action = data.draw(
            st.sampled_from(["sample", "take", "take", "deliver", "refuse", "lose", "ask", "wait", "hurry"])
        )
        if action == "sample":
            bench.sample(data.draw(st.integers(1, 30)))
        elif action == "take" and (taken := bench.take()):
            travelling.append(taken[0])
        elif action in ("deliver", "refuse") and travelling:
            token = travelling.pop(data.draw(st.integers(0, len(travelling) - 1)))
            bench.deliver(token) if action == "deliver" else bench.lanes.refused(token)
        elif action == "lose":
            bench.lanes.lost()
            travelling.clear()
            bench.lanes.connected(PAYLOAD)
        elif action == "ask":
            first = data.draw(st.integers(1, 60))
            bench.lanes.resend(bench.buffer.resend(Ranges.of([(first, first + 5)]))[0])
        elif action == "wait":
            bench.now += data.draw(st.sampled_from([0.5, 70.0]))
        elif action == "hurry":
            bench.gathering.open_now()
    for token in travelling:
        bench.deliver(token)
    for _ in range(4):
        bench.deliver_all()
        bench.now += 3600
    assert bench.buffer.counts().pending == 0
    assert set(bench.arrived) == set(range(1, bench.buffer.highest_seq + 1))
    bench.buffer.close()


def test_after_a_repair_no_sweep_of_former_refusals_is_waited_for(bench: Bench) -> None:
    bench.sample(3)
    bench.lanes.connected(PAYLOAD)
    for token, _ in bench.take_all():
        bench.lanes.refused(token)
    bench.lanes.restart()
    bench.deliver_all()
    bench.now += 3600
    assert bench.lanes.wait() == float("inf")
