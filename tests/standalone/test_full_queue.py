"""A broker acknowledges what it has no room for and drops it; that is seen, asked for again, and arrives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.publishing import report_times
from benchmarks.storm import fill
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.sqlite.store import SqliteStore
from iot_rules.engine import Rules, load_documents
from simulator import sent_ledger
from simulator.clock import SimulatedClock
from simulator.fleet.ledger import FleetLedger
from simulator.fleet.loop import FleetLoop, FleetModeSettings
from simulator.scenario.balance import Balance, balance
from simulator.scenario.store_watch import held
from simulator.trucks import truck_ids
from standalone.gap_repair_loop import keep_asking
from standalone.group_commit_writer import Writer
from standalone.mqtt_sessions import MqttSessions
from tests.agent.live import Broker
from tests.waiting import until

TRUCKS = 3


@contextmanager
def running(act: Callable[[threading.Event], object]) -> Iterator[None]:
    """`act` in a thread of its own; at the end its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=act, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


def drive(folder: Path, url: str, stop: threading.Event) -> None:
    """The trucks in fleet mode, without goodbyes: nothing but what they do on the road heals what is lost."""
    settings = FleetModeSettings(truck_ids(TRUCKS), url, folder, 60.0, 0.0, seed=1, hardships=False)
    loop = FleetLoop(settings, SimulatedClock(datetime.now(UTC)))
    loop.run(stop)
    loop.close()


@pytest.mark.parametrize("waiting", [200, pytest.param(4000, marks=pytest.mark.prove)])
def test_what_a_full_queue_dropped_arrives_while_the_trucks_are_there(
    waiting: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report that would say that nothing waits any more is dropped with the samples before it."""
    monkeypatch.setattr(report_times, "AGAIN_SECONDS", (0.5, 0.5))
    trucks, database = tmp_path / "trucks", tmp_path / "milepost.db"
    waits = FleetLedger(trucks / sent_ledger.FLEET)
    fill(waits, TRUCKS, waiting)
    waits.close()
    broker = Broker(tmp_path, "sys_interval 1\n")
    broker.config.write_text(broker.config.read_text().replace("268435456", str(TRUCKS * waiting * 400)))

    def found() -> Balance:
        return balance(sent_ledger.sampled(trucks), held(database))

    with ExitStack() as stack:
        broker.start()
        stack.callback(broker.kill)
        store = SqliteStore(database)
        stack.callback(store.close)
        writer = stack.enter_context(Writer(store, Ingest(store, TrackingPolicy.of())))
        sessions = [
            MqttSessions(broker.url, "collector", Rules(load_documents()), writer.submit) for _ in ("before", "after")
        ]
        sessions[0].start()
        sessions[0].stop()
        stack.enter_context(running(lambda stop: drive(trucks, broker.url, stop)))
        until(lambda: sent_ledger.progress(trucks).get("online") == TRUCKS)
        until(lambda: sum(sent_ledger.pending(trucks).values()) == 0)
        sessions[1].start()
        stack.callback(sessions[1].stop)
        until(lambda: sessions[1].figures()["broker_dropped"] > 0)
        assert found().lost > TRUCKS * waiting / 4
        stack.enter_context(running(lambda stop: keep_asking(writer, sessions[1], grace_ms=0, stop=stop)))
        until(lambda: found().whole)
