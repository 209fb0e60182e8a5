"""What the broker refuses, told to the operator: mosquitto itself says it only among its debug lines, or not at all.

Follows mosquitto's log and logs, as warnings, denied publishes (`publish_denied client=A topic='fleet/B/telemetry'`),
denied subscriptions, connections that failed before anybody was known (no certificate, or a bad one), addresses that
connected and were no client ten seconds later (mosquitto never tells both in one line), and clients whose place a
second one took: a cloned identity, or a line that broke. The first of a kind is told within a quarter of a second, and
those of the next minute are counted and told together, so that nobody fills the log by trying. A subscription is known
to be denied by what does not follow: the grant's own line.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from contract.topics import ID

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 60.0
_MOST = 200
_CHUNK = 1 << 20
_TOPIC = 200
_ANONYMOUS_SECONDS = 10.0
_MOST_ANONYMOUS = 100_000

_LINE = re.compile(
    rb"^\d+: (?:"
    rb"Denied PUBLISH from (?P<publisher>.*?) \(d\d, q\d, r\d, m\d+, '(?P<topic>.*)', \.\.\. \("
    rb"|Client (?P<doubled>\S+) already connected, closing old connection\.$"
    rb"|Received SUBSCRIBE from (?P<asker>\S+)$"
    rb"|\t(?P<asked>.+) \(QoS \d\)$"
    rb"|Sending SUBACK to (?P<answered>\S+)$"
    rb"|(?P<granted>\S+ \d .+)$"
    rb"|OpenSSL Error\[0\]: (?P<reason>.+)$"
    rb"|New connection from (?P<opened>\S+) on port \d+\.$"
    rb"|New client connected from (?P<known>\S+) as .+$"
    rb"|Client connection from (?P<failed_from>\S+) (?:failed|denied): (?P<failed>.+)$"
    rb")",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Denial:
    """kind: publish_denied, subscribe_denied, connected_twice, connection_refused or connection_anonymous. who: the
    client, the reason, or the address."""

    kind: str
    who: str
    topic: str = ""


class DenialLog:
    """The refusals in one log file, which may be cut at any time (standalone.child_processes.trim).

    Lines that are there already when it is opened are not reported.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._at = file.stat().st_size if file.exists() else 0
        self._rest = b""
        self._asker, self._asked = b"", list[bytes]()
        self._opened: dict[bytes, float] = {}
        self._told: dict[tuple[str, str], float] = {}
        self._waiting: dict[tuple[str, str], tuple[int, str]] = {}

    def run(self, *, stop: threading.Event) -> None:
        """Follow until `stop`; for a thread of its own.

        Args:
            stop: ends it within a second.
        """
        while not stop.wait(_LOOK_SECONDS):
            try:
                self.look()
            except OSError as error:
                log.error("broker_log_unreadable file=%s reason=%s", self._file, error)
                stop.wait(_AGAIN_SECONDS)
        with suppress(OSError):
            self.look()  # what was refused in the last moment
        self._tell(at_last=True)

    def look(self) -> None:
        """Read what is new, and tell what is due."""
        for chunk in self._chunks():
            for refusal in self._read(chunk):
                self._count(refusal)
        for refusal in self._anonymous():
            self._count(refusal)
        self._tell()

    def _count(self, refusal: Denial) -> None:
        key = refusal.kind, refusal.who
        if len(self._waiting) >= _MOST and key not in self._waiting:
            key = refusal.kind, "others"
        self._waiting[key] = self._waiting.get(key, (0, ""))[0] + 1, refusal.topic

    def _anonymous(self) -> Iterator[Denial]:
        """Connections that are no clients after their time."""
        now = self._clock()
        for peer, since in list(self._opened.items()):
            if now - since < _ANONYMOUS_SECONDS:
                return
            del self._opened[peer]
            yield Denial("connection_anonymous", _text(peer.rpartition(b":")[0]))

    def _tell(self, *, at_last: bool = False) -> None:
        now = self._clock()
        self._told = {key: at for key, at in self._told.items() if now - at < _AGAIN_SECONDS}
        for key in [key for key in self._waiting if at_last or key not in self._told]:
            times, topic = self._waiting.pop(key)
            kind, who = key
            self._told[key] = now
            what = f"client={who if ID.fullmatch(who) else repr(who)}" + (f" topic={topic!r}" if topic else "")
            what = f"reason={who!r}" if kind == "connection_refused" else what
            what = f"peer={who}" if kind == "connection_anonymous" else what
            log.warning("%s %s times=%d", kind, what, times)

    def _chunks(self) -> Iterator[bytes]:
        """What was written since the last time: where the file has been cut, first what its copy kept of it."""
        size = self._file.stat().st_size if self._file.exists() else 0
        if size < self._at:
            copy = self._file.with_name(f"{self._file.name}.1")
            if copy.exists():
                yield from self._from(copy)
            self._at = 0
        yield from self._from(self._file)

    def _from(self, file: Path) -> Iterator[bytes]:
        if not file.exists():
            return
        with file.open("rb") as log_file:
            log_file.seek(self._at)
            while data := log_file.read(_CHUNK):
                self._at += len(data)
                whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
                yield whole + newline

    def _read(self, chunk: bytes) -> Iterator[Denial]:
        for found in _LINE.finditer(chunk):
            match found.lastgroup:
                case "topic":
                    yield Denial("publish_denied", _text(found["publisher"]), _text(found["topic"]))
                case "doubled":
                    yield Denial("connected_twice", _text(found["doubled"]))
                case "reason" | "failed":
                    yield Denial("connection_refused", _reason(found[found.lastgroup]))
                    if found["failed_from"]:
                        yield Denial("connection_anonymous", _text(found["failed_from"]))
                case "opened" | "known":
                    self._note(found["opened"], found["known"])
                case "asker":
                    self._asker, self._asked = found["asker"], []
                case "asked":
                    self._asked.append(found["asked"])
                case "granted":
                    self._grant(found["granted"])
                case "answered" if found["answered"] == self._asker:
                    yield from (Denial("subscribe_denied", _text(self._asker), _text(one)) for one in self._asked)
                    self._asked = []

    def _note(self, opened: bytes | None, known: bytes | None) -> None:
        """An address and port that has connected, or become a client."""
        if known:
            self._opened.pop(known, None)
        elif opened and len(self._opened) < _MOST_ANONYMOUS:
            self._opened[opened] = self._clock()

    def _grant(self, line: bytes) -> None:
        name, _, rest = line.partition(b" ")
        topic = rest.partition(b" ")[2]
        if name == self._asker and topic in self._asked:
            self._asked.remove(topic)


def _text(raw: bytes) -> str:
    """As a log line may hold it: a truck writes its topics itself."""
    return raw.decode("utf-8", "replace")[:_TOPIC]


def _reason(raw: bytes) -> str:
    """OpenSSL's last words, without codes."""
    return _text(raw.rpartition(b":")[2]).rstrip(".")
