"""How many trucks one machine bears: an identity each over mutual TLS, a sample a minute, everything stored.

`milepost up` with its own mosquitto and identities, and `simulate trucks --mode fleet`, each a process of its own.
After the ramp the figures are of the minutes that follow: seconds from a sample's tick to its being queryable (of what
is sampled from then on: before, it waits until its truck may connect), CPU and memory of each process.
`python -m benchmarks.fleet [TRUCKS] [MINUTES] [FOLDER]`; a FOLDER is kept, with its identities and the run's record.
Aim: every sample stored once.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from contract import machine_clock, timestamps
from simulator.run_record import RunRecord
from simulator.scenario.balance import wait_until_whole
from simulator.scenario.installation import Installation
from simulator.scenario.observer import NEVER, Observer, percentile
from simulator.trucks import truck_ids

TRUCKS, MINUTES, RAMP = 1_000, 2.0, 100.0
RAMP_PATIENCE_S, DRAIN_S = 240.0, 120.0


def run(count: int, minutes: float, folder: Path, *, only_issue: bool = False) -> bool:
    """Print the figures of one run; whether everything was stored once."""
    with Installation(folder, environment={"MILEPOST_SIMULATOR__HARDSHIPS": "false"}) as installation:
        seconds = installation.issue(truck_ids(count))
        print(f"{count:,} identities issued by provision in {seconds:.0f} s", flush=True)
        if only_issue:
            return True
        began = time.monotonic()
        installation.start()
        print(f"milepost up was ready after {time.monotonic() - began:.1f} s", flush=True)
        record = RunRecord(folder, title=f"{count:,} trucks over mutual TLS", trucks=count, interval=60.0)
        begun = machine_clock.now_ms()
        installation.drive(count, "--mode", "fleet", "--ramp", str(RAMP), "--drain", "60")
        with Observer(record, installation, live_from=NEVER) as observer:
            connected = _ramp(installation, count)
            observer.live_from = timestamps.from_ms(machine_clock.now_ms())
            record.fault("connecting", begun, f"{count:,} trucks, {RAMP:.0f} a second")
            before, at, stored = {**observer.most}, time.monotonic(), observer.stored
            time.sleep(minutes * 60)
            taken, lasted = list(observer.latencies), time.monotonic() - at
            after, arrived = {**observer.most}, observer.stored - stored
            code = installation.end("trucks", 120)
            found = wait_until_whole(installation.ledger, installation.store, DRAIN_S)
        said = json.loads(installation.said("trucks")) if not code else {}
        record.balance(found.document())
        record.close()
        installation.end("up")
    print(f"connected: {connected}")
    print(f"{arrived:,} samples in {lasted:.0f} s, {arrived / lasted:.1f} a second (due: {count / 60:.1f})")
    if taken:
        p50, p99 = (percentile(taken, share) * 1000 for share in (0.5, 0.99))
        print(f"sample to queryable: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    print(f"{'process':<12}{'CPU s a minute':>16}{'ms a sample':>13}{'memory MB':>11}{'KB a truck':>12}")
    for name in after:
        cpu = after[name]["cpu_s"] - before.get(name, {"cpu_s": 0.0})["cpu_s"]
        memory = after[name]["rss_mb"]
        each = cpu / arrived * 1000 if arrived else 0.0
        print(f"{name:<12}{cpu / lasted * 60:>16.1f}{each:>13.2f}{memory:>11.0f}{memory * 1000 / count:>12.0f}")
    fleet = said.get("fleet", {})
    print(f"fleet: refused {fleet.get('refused')}, unacknowledged {fleet.get('pending')}, exit code {code}")
    print(f"balance: {json.dumps(found.document())}")
    return found.whole


def _ramp(installation: Installation, count: int) -> str:
    from simulator import sent_ledger

    began = time.monotonic()
    while time.monotonic() - began < RAMP_PATIENCE_S:
        online = sent_ledger.progress(installation.ledger).get("online", 0)
        if online == count:
            return f"all {count:,} after {time.monotonic() - began:.1f} s"
        time.sleep(0.5)
    return f"{online:,} of {count:,} after {RAMP_PATIENCE_S:.0f} s"


def main(arguments: list[str]) -> int:
    """Print the figures; 1 if a sample is lost or counted twice."""
    only_issue = "issue" in arguments
    arguments = [each for each in arguments if each != "issue"]
    count = int(arguments[0]) if arguments else TRUCKS
    minutes = float(arguments[1]) if len(arguments) > 1 else MINUTES
    if len(arguments) > 2:
        return 0 if run(count, minutes, Path(arguments[2]), only_issue=only_issue) else 1
    with tempfile.TemporaryDirectory() as name:
        return 0 if run(count, minutes, Path(name)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
