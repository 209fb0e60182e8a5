"""The reconnect storm: every truck comes back at once with a backlog, over mutual TLS, and goes on sampling meanwhile.

Figures: how long the backlog takes, samples a second, and p50 and p99 of the live samples while it drains, from a
sample's tick to its being queryable; live is what is taken once all trucks are connected.
`python -m benchmarks.storm [TRUCKS] [BACKLOG] [FOLDER]`; a FOLDER is kept, with its identities. Aim: every sample is
stored once.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract import machine_clock, timestamps
from simulator import sent_ledger
from simulator.fleet.ledger import FleetLedger
from simulator.fleet.truck import FleetTruck
from simulator.run_record import RunRecord
from simulator.scenario.balance import wait_until_whole
from simulator.scenario.installation import Installation
from simulator.scenario.observer import NEVER, Observer, percentile
from simulator.trucks import truck_ids

TRUCKS, BACKLOG = 500, 200
INTERVAL_S = 60.0
CONNECT_S, PATIENCE_S, SETTLE_S = 180.0, 7200.0, 600.0
_SEED, _MADE_UP = 1, 500


def fill(ledger: FleetLedger, count: int, backlog: int) -> None:
    """So many unacknowledged samples for each truck, a minute apart and ending now.

    One in _MADE_UP is a sample of the simulated truck; those between are the same with a number and a time of their
    own, since making millions would take longer than sending them.
    """
    began = datetime.now(UTC) - timedelta(minutes=backlog)
    names = truck_ids(count)
    for truck_id, state in zip(names, ledger.enter(names), strict=True):
        truck = FleetTruck(truck_id, _SEED, ledger, state, hardships=False)
        truck.sample(began - timedelta(minutes=1))  # so that the next ones tell of the minute before
        rows = []
        for index in range(backlog):
            at = began + timedelta(minutes=index)
            if index % _MADE_UP == 0:
                truck.highest = index
                taken = truck.sample(at)
                assert taken is not None
                number, _, body = taken
                head = b'"seq":%d,"sampled_at":"%s"' % (index + 1, timestamps.from_datetime(at).encode())
                before, _, after = body.partition(head)
            own = b'"seq":%d,"sampled_at":"%s"' % (index + 1, timestamps.from_datetime(at).encode())
            rows.append((number, index + 1, before + own + after))
        ledger.append(rows, ())


def run(count: int, backlog: int, folder: Path) -> bool:
    """Print the figures; whether every sample is stored once."""
    calm = {"MILEPOST_SIMULATOR__HARDSHIPS": "false", "MILEPOST_SIMULATOR__INTERVAL": f"{INTERVAL_S:g}"}
    with Installation(folder, environment=calm) as installation:
        print(f"{count:,} identities in {installation.issue(truck_ids(count)):.0f} s", flush=True)
        began = time.monotonic()
        ledger = FleetLedger(installation.ledger / sent_ledger.FLEET)
        fill(ledger, count, backlog)
        ledger.close()
        size = (installation.ledger / sent_ledger.FLEET).stat().st_size
        print(
            f"{count * backlog:,} samples ({size / 1e6:,.0f} MB) wait, made in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        installation.start()
        record = RunRecord(folder, title=f"{count:,} trucks come back with {backlog:,} samples each", trucks=count)
        with Observer(record, installation, live_from=NEVER) as observer:
            began = time.monotonic()
            installation.drive(count, "--mode", "fleet", "--ramp", "10000", "--drain", "120")
            print(f"all connected after {_connected(installation, count):.1f} s", flush=True)
            observer.live_from = timestamps.from_ms(machine_clock.now_ms())
            drained = _drained(installation, observer, count, began)
            live = list(observer.latencies)
            record.fault("draining", machine_clock.now_ms() - round(drained * 1000), f"{count * backlog:,} samples")
            code = installation.end("trucks", 180)
            found = wait_until_whole(installation.ledger, installation.store, SETTLE_S)
        record.balance(found.document())
        record.close()
        installation.end("up")
    print(f"drained in {drained:.1f} s, {count * backlog / drained:,.0f} samples a second, exit code {code}")
    if live:
        p50, p99 = (percentile(live, share) for share in (0.5, 0.99))
        print(f"{len(live):,} live samples meanwhile: p50 {p50:.2f} s, p99 {p99:.2f} s from tick to queryable")
    for name, most in observer.most.items():
        print(f"{name:<10} {most['cpu_s']:8.1f} CPU s {most['rss_mb']:8.0f} MB")
    print(f"balance: {json.dumps(found.document())}")
    return found.whole


def _connected(installation: Installation, count: int) -> float:
    """Seconds until every truck has a connection: what it samples before that waits like the rest."""
    began = time.monotonic()
    while time.monotonic() - began < CONNECT_S and sent_ledger.progress(installation.ledger).get("online", 0) < count:
        time.sleep(0.2)
    return time.monotonic() - began


def _drained(installation: Installation, observer: Observer, count: int, began: float) -> float:
    """Seconds from `began` until the store holds all but what is on its way: a sample a truck, no more.

    The trucks stay there meanwhile, since what the broker drops can only come from them.
    """
    while time.monotonic() - began < PATIENCE_S:
        progress = sent_ledger.progress(installation.ledger)
        if progress and progress["online"] == count and observer.stored >= progress["sampled"] - count:
            break
        time.sleep(0.2)
    return time.monotonic() - began


def main(arguments: list[str]) -> int:
    """Print the figures; 1 if a sample is lost or counted twice."""
    count = int(arguments[0]) if arguments else TRUCKS
    backlog = int(arguments[1]) if len(arguments) > 1 else BACKLOG
    if len(arguments) > 2:
        return 0 if run(count, backlog, Path(arguments[2])) else 1
    with tempfile.TemporaryDirectory() as name:
        return 0 if run(count, backlog, Path(name)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
