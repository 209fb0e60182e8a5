"""A scenario from the file to the balance: installation, line, trucks, faults in their turn, and the judge at the end.

The judge is the trucks' own ledger against the rows of the store, and `milepost verify` over the history. A run's
folder keeps the record, all logs and what the service stored.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import machine_clock, timestamps
from contract.errors import MilepostError, Misconfigured
from simulator import sent_ledger
from simulator.run_record import RunRecord
from simulator.scenario.balance import Balance, wait_until_whole
from simulator.scenario.faults import Stage, make
from simulator.scenario.file import ON_A_LINK, PlannedFault, Scenario
from simulator.scenario.installation import Installation
from simulator.scenario.line import Line
from simulator.scenario.network_namespace import NetworkNamespace
from simulator.scenario.observer import Observer, percentile
from simulator.trucks import truck_ids

_CONNECT_S = 60.0
_CONNECTS_A_SECOND = 200.0
_RESEND_AFTER_S = 2.0
_DISK_MB = 24
_START_S = 15.0
"""From issuing certificates to all trucks being connected by them."""


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """How a run ended.

    verified: whether the stored history is what its samples make. faults: what was done, in order. latency: p50 and
    p99 in seconds from sampling to being queryable; None where simulated time is not wall time.
    """

    balance: Balance
    verified: bool
    faults: tuple[str, ...]
    latency: tuple[float, float] | None

    @property
    def whole(self) -> bool:
        """Whether nothing is lost, doubled or wrong."""
        return self.balance.whole and self.verified

    def document(self) -> dict[str, Any]:
        """As it is printed."""
        p50, p99 = self.latency or (None, None)
        return {
            **self.balance.document(),
            "verified": self.verified,
            "faults": list(self.faults),
            "p50": p50,
            "p99": p99,
        }


def play(scenario: Scenario, folder: Path, stop: threading.Event) -> ScenarioOutcome:
    """Run one scenario on an installation of its own.

    Args:
        folder: new or empty; keeps the record, the logs and what the service stored.
        stop: ends faults and sampling early; the balance is made all the same.

    Returns:
        The balance and what was done.

    Raises:
        Misconfigured: the folder is not empty.
        MilepostError: the installation or a fault could not be made, so nothing is proven.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Misconfigured(f"--to {folder}: is not empty: give a new folder")
    with ExitStack() as stack:
        fills = any(fault.kind == "full_disk" for fault in scenario.faults)
        data_dir = stack.enter_context(own_disk(folder / "data")) if fills else None
        installation = stack.enter_context(Installation(folder, data_dir=data_dir, environment=ENVIRONMENT))
        outcome = ScenarioRun(scenario, installation, stop).go(folder)
        installation.end("up")
        return outcome


ENVIRONMENT = {"MILEPOST_COLLECTOR__RESEND_AFTER": f"{_RESEND_AFTER_S:g}"}
"""Of an installation for scenarios: what is missing is asked for soon."""


@contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own (tmpfs), which can be filled without harm to this machine's; its files stay behind.

    Args:
        folder: where it is mounted; must not exist.

    Raises:
        MilepostError: mounting is not allowed.
    """
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=0700", "milepost", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MilepostError(
            f"full_disk needs a small disk of its own, and mount said: {done.stderr.strip()} (run as root)"
        )
    try:
        yield folder
    finally:
        kept = folder.with_name("data.kept")
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("*.sock"))
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()
        kept.rename(folder)


class ScenarioRun:
    """One scenario on an installation. One that runs already is used as it is, with its trucks' ledger going on; then
    several scenarios can follow one another on it."""

    def __init__(self, scenario: Scenario, installation: Installation, stop: threading.Event) -> None:
        self._scenario, self._installation, self._stop = scenario, installation, stop
        self._expire_at = 0.0
        self._until_ms = 0
        self._network: NetworkNamespace | None = None

    def go(self, folder: Path) -> ScenarioOutcome:
        """Service, trucks, faults, balance; the record in `folder`. The service runs on. Raises as `play` does."""
        scenario, installation = self._scenario, self._installation
        with ExitStack() as stack:
            line, stream = self._start(stack)
            record = RunRecord(folder, title=scenario.title, **scenario.model_dump(exclude={"title", "faults"}))
            stack.callback(record.close)
            broker = f"{'mqtts' if scenario.tls else 'mqtt'}://{line.at}:{line.port}"
            stage = Stage(
                installation,
                line,
                self._stop,
                lambda: self._drive(broker),
                self._renew,
                self._expire_at,
                stream,
                self._network,
            )
            with Observer(record, installation, timed=scenario.speedup == 1) as observer:
                stack.callback(installation.end, "trucks")  # also where it fails: the next run has the same names
                self._until_ms = machine_clock.now_ms() + round((scenario.seconds + self._patience) * 1000)
                self._drive(broker)
                self._wait_until_connected()
                done = self._faults(stage, record)
                self._stop.wait(max(0.0, (self._until_ms - machine_clock.now_ms()) / 1000))
                wait_until_whole(installation.ledger, installation.store, scenario.settle)
                installation.end("trucks")
                found = wait_until_whole(installation.ledger, installation.store, _RESEND_AFTER_S * 5)
            verified = installation.call("verify").returncode == 0
            record.balance({**found.document(), "verified": verified})
        times = observer.latencies
        latency = (percentile(times, 0.5), percentile(times, 0.99)) if times else None
        return ScenarioOutcome(found, verified, tuple(done), latency)

    @property
    def _patience(self) -> float:
        return 1.5 + self._scenario.trucks / _CONNECTS_A_SECOND

    def _start(self, stack: ExitStack) -> tuple[Line, Line | None]:
        """The service; the trucks' line to its broker, and that between broker and collector where it is throttled."""
        scenario, installation = self._scenario, self._installation
        if any(fault.kind == "throttled_stream" for fault in scenario.faults):  # so it needs a broker of its own
            port = installation.start_broker()
            stream = stack.enter_context(Line("127.0.0.1", port, scenario.seed, sealed=False))
            installation.start("--broker", f"mqtt://127.0.0.1:{stream.port}")
            return stack.enter_context(Line("127.0.0.1", port, scenario.seed, sealed=False)), stream
        if scenario.tls:
            self._issue()
        if "up" not in installation.pids():
            installation.start()
        port = int(installation.broker.rpartition(":")[2])
        at = "127.0.0.1"
        if any(fault.kind in ON_A_LINK for fault in scenario.faults):
            self._network = stack.enter_context(NetworkNamespace())
            at = self._network.address
        return stack.enter_context(Line("127.0.0.1", port, scenario.seed, sealed=scenario.tls, at=at)), None

    def _issue(self) -> None:
        names = truck_ids(self._scenario.trucks)
        ending = [fault.at for fault in self._scenario.faults if fault.kind == "certificates_expired"]
        if not ending:
            self._installation.issue(names)
            return
        life = min(ending) + _START_S
        self._installation.issue(names, certificate_seconds=life)
        self._expire_at = time.monotonic() + life

    def _renew(self) -> None:
        self._installation.issue(truck_ids(self._scenario.trucks), generation=2)

    def _drive(self, broker: str) -> None:
        scenario = self._scenario
        options = ["--mode", scenario.mode, "--speedup", f"{scenario.speedup:g}", "--drain", f"{scenario.settle:g}"]
        options += ["--until", timestamps.from_ms(self._until_ms)]
        settings = {
            "MILEPOST_SIMULATOR__INTERVAL": f"{scenario.interval:g}",
            "MILEPOST_SIMULATOR__SEED": str(scenario.seed),
        }
        through = self._network.through if self._network else ()
        self._installation.drive(scenario.trucks, *options, broker=broker, environment=settings, through=through)

    def _wait_until_connected(self) -> None:
        """Each truck once: where they drive through dead zones, there need be no moment at which all are connected, and
        one that begins in one comes when it is through."""
        until = time.monotonic() + self._patience + _CONNECT_S
        missing = self._scenario.trucks
        while not self._stop.wait(0.1):
            if self._scenario.mode == "full":
                begun = sum(count > 0 for count in sent_ledger.sampled(self._installation.ledger).values())
                missing = self._scenario.trucks - begun
            elif progress := sent_ledger.progress(self._installation.ledger):
                missing = progress["joining"]
            if missing <= 0:
                return
            if time.monotonic() > until or "trucks" not in self._installation.pids():
                raise MilepostError(
                    f"{missing} of {self._scenario.trucks} trucks did not connect: see {self._installation.folder}"
                )

    def _faults(self, stage: Stage, record: RunRecord) -> list[str]:
        """Each in a thread of its own, since they may overlap; raises the first that could not be made."""
        failed: list[Exception] = []
        done: dict[int, str] = {}

        def one(number: int, fault: PlannedFault) -> None:
            if self._stop.wait(fault.at):
                return
            began = machine_clock.now_ms()
            try:
                detail = make(stage, fault)
                done[number] = f"{fault.kind}: {detail}"
                record.fault(fault.kind, began, detail)
            except Exception as error:  # noqa: BLE001 - a thread's door: raised where the run waits for it
                failed.append(error)

        threads = [
            threading.Thread(target=one, args=(number, fault), name=fault.kind, daemon=True)
            for number, fault in enumerate(self._scenario.faults)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return [done[number] for number in sorted(done)]
