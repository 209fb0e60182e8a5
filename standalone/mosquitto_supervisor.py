"""The supervised mosquitto of a box: starts it, knows that it answers, starts it again when it dies.

Promises to `milepost up`: the address stays the same for the life of a `Broker`, since trucks reconnect to it; after
`start` it answers MQTT, not only TCP; one that lives and no longer answers is killed and started again; a clean stop
keeps every session, queued message and retained status, and a kill loses at most what came in the last seconds
(mosquitto acknowledges before it is durable; gap repair asks again).
A persistence file that mosquitto refuses is set aside, never deleted, and never keeps the box down.

Without `identities` nobody is authenticated on the loopback listener: any client of this machine may publish as any
truck, and may even send `resend`. With them (standalone.truck_access) trucks come by a listener of their own, with
certificates and rights that vouch for `fleet/{truck_id}`, and on the loopback listener only the collector speaks, by
its password.
"""

import contextlib
import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from contract.descriptors import are_used_up, is_own_trouble
from contract.errors import Misconfigured, Unreachable
from contract.ports import can_listen, free_port
from contract.topics import MAX_PAYLOAD
from standalone.child_processes import STOP_SECONDS, Child, Children, trim
from standalone.truck_access import TruckAccess

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
START_SECONDS = 20.0
_WATCH_SECONDS = 0.2
_PROBE_SECONDS = 0.01
_DATABASE = "mosquitto.db"
_DAMAGED = "mosquitto.db.damaged"
_PACKET_OVERHEAD = 1024  # topic and properties around a payload of MAX_PAYLOAD
_MAX_QUEUED_BYTES = 256 * 1024 * 1024
_SYSTEM_PATH = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # not in every user's PATH

_CONNECT = bytes.fromhex("100c 0004 4d515454 04 02 000a 0000")  # MQTT 3.1.1, clean session, empty client id
_CONNACK = bytes.fromhex("2002 0000")

_MISSING = (
    "mosquitto is not installed: run `apt-get install -y --no-install-recommends mosquitto` (as root; Debian's package "
    "also starts a service of its own on port 1883, which the box does not need), or use another broker by --broker URL"
)


class MosquittoSupervisor:
    """One mosquitto on the loopback interface, with its files in `folder`.

    port: 0 takes a free one, kept until the object goes. children: who records the process (default: in `folder`);
    the caller holds the data directory's lock and has reaped orphans, since two brokers must not share the files.
    patience: seconds without an answer after which `supervise` takes a living mosquitto for hung.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        children: Children | None = None,
        autosave_seconds: int = 5,
        patience: float = 30.0,
    ) -> None:
        self._folder = folder.absolute()
        self._autosave = autosave_seconds
        self._patience = patience
        self._asked_at = self._answered_at = 0.0
        self._folder.mkdir(parents=True, exist_ok=True)
        self._children = children or Children(self._folder)
        self._child: Child | None = None
        self.identities: TruckAccess | None = None
        self._wanted = threading.Event()
        self._guard = threading.RLock()
        self.port = port
        self.restarts = 0
        self.full = False
        """Whether strangers hold all its descriptors: who is connected is served, and nobody else can connect."""

    @property
    def url(self) -> str:
        """mqtt://127.0.0.1:PORT, once started."""
        return f"mqtt://{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int | None:
        """Of the running mosquitto; changes with every restart."""
        return self._child.pid if self._child and self._child.alive else None

    def start(self) -> None:
        """Start it and wait until it answers an MQTT CONNECT.

        Raises Unreachable if mosquitto is missing or does not come up (with what it said), Misconfigured if the port
        is taken.
        """
        with self._guard:
            self._wanted.set()
            try:
                self._start()
            except BaseException:
                self._wanted.clear()
                raise

    def _start(self) -> None:
        if self.alive:
            return
        self.port = self.port or free_port()
        self._configure()
        try:
            self._launch()
        except Unreachable:
            if not self._wanted.is_set() or not self._set_database_aside():
                raise
            self._launch_without_database()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, on which mosquitto writes its persistence file, and SIGKILL if it still runs.

        Args:
            seconds: between the two.
        """
        self._wanted.clear()  # before the guard: it ends a start that is under way
        with self._guard:
            if self._child:
                self._child.stop(seconds)

    def reload(self) -> None:
        """SIGHUP, on which mosquitto loads its revocation list again."""
        with self._guard:
            if self._child:
                self._child.signal(signal.SIGHUP)

    def restart(self) -> None:
        """Stop and start it, with a configuration of now. Errors as for `start`."""
        with self._guard:
            if self._child and self._wanted.is_set():
                self._child.stop(STOP_SECONDS)
                self._start()

    def ensure(self) -> bool:
        """Start a dead broker again on its port and bound its log. Errors as for `start`.

        Returns:
            Whether it had died.
        """
        with self._guard:
            trim(self._log)
            if not self._wanted.is_set() or self.alive:
                return False
            log.warning("broker_died returncode=%s port=%d", self._child and self._child.returncode, self.port)
            self.restarts += 1
            self._start()
            return True

    def supervise(self, stop: threading.Event) -> None:
        """`ensure` five times a second; for a thread of its own. While a start fails, it backs off to 10 seconds.

        Args:
            stop: ends it.
        """
        wait = _WATCH_SECONDS
        while not stop.wait(wait):
            try:
                self._kill_if_hung()
                self.ensure()
                wait = _WATCH_SECONDS
            except Exception as error:  # noqa: BLE001 - a loop's door: whatever it was, the broker is looked after
                wait = min(wait * 2, 10.0)
                log.error("broker_restart_failed again_in_seconds=%.1f reason=%s", wait, error or repr(error))

    def _kill_if_hung(self) -> None:
        """Asked three times in its patience; a stop or a start that is under way is not disturbed."""
        now = time.monotonic()
        if now - self._asked_at < self._patience / 3 or not self._guard.acquire(blocking=False):
            return
        try:
            if not self.alive or self._child is None:
                return
            self._asked_at = now
            answers = _answers(self.port)
            self._note_full(not answers and are_used_up(self._child.pid))
            if answers or answers is None or self.full:
                self._answered_at = time.monotonic()  # not to be asked: then nothing is known against it
            elif time.monotonic() - self._answered_at > self._patience:
                log.error("broker_hung seconds=%.0f pid=%d: killed", self._patience, self._child.pid)
                self._child.stop(0)
        finally:
            self._guard.release()

    def _note_full(self, full: bool) -> None:
        if full and not self.full:
            log.error("broker_full pid=%s: nobody else can connect; bound connections by the firewall", self.pid)
        elif self.full and not full:
            log.warning("broker_has_room_again pid=%s", self.pid)
        self.full = full

    @property
    def _log(self) -> Path:
        return self._folder / "mosquitto.log"

    def _configure(self) -> None:
        (self._folder / "mosquitto.acl").write_text(_ACL, encoding="utf-8")
        access = self.identities.prepare() if self.identities else _access(self._folder)
        lines = [*self._settings(), *access]
        if any("\n" in line for line in lines):
            raise Misconfigured(f"{str(self._folder)!r} has a line break in its name: give another --data-dir")
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _settings(self) -> Iterator[str]:
        yield "# Written by Milepost at every start: changes are lost."
        yield f"listener {self.port} {HOST}"
        yield "set_tcp_nodelay true"
        if os.geteuid() == 0:
            yield "user root"  # else it changes to a user who cannot write here, and loses its death signal
        yield "persistence true"
        yield f"persistence_location {self._folder}/"
        yield f"persistence_file {_DATABASE}"
        yield f"autosave_interval {self._autosave}"
        yield "persistent_client_expiration 14d"
        # By default it drops what is over 1,000 messages for a client that is away. Bytes are the bound instead.
        yield "max_queued_messages 0"
        yield f"max_queued_bytes {_MAX_QUEUED_BYTES}"
        yield "max_inflight_messages 1000"
        # Not message_size_limit: that one acknowledges an oversize MQTT 3.1.1 message and drops it. This one
        # disconnects, whatever the version, and tells MQTT 5 clients the limit when they connect.
        yield f"max_packet_size {MAX_PAYLOAD + _PACKET_OVERHEAD}"
        yield "log_dest stderr"
        yield "connection_messages false"
        yield from (f"log_type {kind}" for kind in ("error", "warning", "notice"))

    def _launch(self) -> None:
        if not can_listen(self.port):
            raise Misconfigured(
                f"port {self.port} is in use: stop what listens there (a mosquitto service, perhaps: "
                "`systemctl disable --now mosquitto`) or choose another port"
            )
        argv = [_program(), "-c", str(self._folder / "mosquitto.conf")]
        self._child = child = self._children.spawn(argv, name="mosquitto", log=self._log)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            if not child.alive or not self._wanted.is_set() or time.monotonic() > deadline:
                child.stop(1.0)
                raise Unreachable(f"mosquitto did not come up on port {self.port}: {self._last_words()} ({self._log})")
            time.sleep(_PROBE_SECONDS)
        self._asked_at = self._answered_at = time.monotonic()
        log.info("broker_up port=%d pid=%d", self.port, child.pid)

    def _launch_without_database(self) -> None:
        try:
            self._launch()
        except Unreachable:  # so it was not the file's fault
            (self._folder / _DAMAGED).replace(self._folder / _DATABASE)
            raise
        log.error(
            "broker_database_damaged set_aside=%s: sessions and queued messages start empty, trucks are asked again",
            self._folder / _DAMAGED,
        )

    def _set_database_aside(self) -> bool:
        """Only the latest damaged file is kept: it may be large, and what it held is repaired by resending."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / _DATABASE).replace(self._folder / _DAMAGED)
            return True
        return False

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            return "; ".join(lines[-3:])
        return "it said nothing"


_ACL = """# Written by Milepost at every start: changes are lost.
# Without identities this only keeps strangers' topics out; see standalone/mosquitto_supervisor.py.
topic readwrite fleet/#
topic read $SYS/#
"""


def _access(folder: Path) -> Iterator[str]:
    yield "allow_anonymous true"
    yield f"acl_file {folder / 'mosquitto.acl'}"


def _program() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_SYSTEM_PATH))
    if found is None:
        raise Unreachable(_MISSING)
    return found


def _answers(port: int) -> bool | None:
    """Whether a broker accepts an MQTT CONNECT there; None where this process has no room left to ask."""
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(_CONNECT)
            answer = connection.recv(4)
            connection.sendall(b"\xe0\x00")
            return answer == _CONNACK
    except OSError as error:
        return None if is_own_trouble(error) else False
