"""Who and what must stay forgotten on one machine: the markers that every later delivery is judged by.

`milepost forget` writes a marker before it removes anything, and whatever comes again afterwards (a redelivery, a
retried dead letter, a file that is ingested again) passes the markers before it is stored. A person is kept as keyed
hashes (HMAC with the data directory's own secret), so that the markers name nobody; a truck's positions by truck and
time.

A person's marker counts for what happened before it was written: who comes back afterwards is a new person, whose order
needs an address. An id becomes a pseudonym, the same each time, so that numbers of visitors and sessions stay.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contract import atomic_file
from contract.codec import Json, canonical, parse
from contract.errors import Misconfigured
from contract.file_stamp import Stamp, file_stamp
from contract.legacy_records import telemetry
from contract.telemetry import Telemetry

MARKERS, SECRET = "forgotten.json", "forget-secret"
PREFIX = "forgotten-"

_CLICK_KEEPS = (
    "event_id", "event_type", "timestamp", "time_quality", "received_at", "item_id", "item_name", "category", "price",
    "click_count", "quantity", "currency", "order_id", "device_type", "browser", "os", "is_bot", "automated", "country",
    "country_source", "referrer_class", "utm_source", "utm_medium", "utm_campaign", "user_type", "engaged_seconds",
    "scroll_percent", "search_results", "recommendation_id", "model_version", "placement", "position",
)  # fmt: skip
_LINE_KEEPS = ("item_id", "item_name", "category", "price", "quantity")
_WHO = ("user_id", "session_id", "customer_id", "browser_id")
_WHERE = ("latitude", "longitude", "altitude")
_ANY_TIME = ""
_WORDS = re.compile(r"""[^\s"'\[\]{}(),:;&=?#/<>|]+""")
_PARTS = re.compile(r"[/?&=#]+")
GONE = b'"forgotten"'
"""What stands in place of the bytes of a dead letter."""


class Span(NamedTuple):
    """A truck's positions from one instant to another, the end not included; RFC 3339 in this project's form."""

    truck_id: str
    begin: str
    end: str


class Markers(NamedTuple):
    """What the file of markers says: keyed hash of an id → the moment from which it is a new one, and spans."""

    people: Mapping[str, str]
    spans: Sequence[Span]


class Forgotten:
    """The markers of one data directory. Changes of the file by another process are seen at the next question."""

    def __init__(self, data_dir: Path) -> None:
        self._file, self._secret_file = data_dir / MARKERS, data_dir / SECRET
        self._stamp: Stamp | None = None
        self._markers = Markers({}, ())
        self._secret = b""

    def markers(self) -> Markers:
        """What must stay forgotten now.

        Returns:
            Those of the file as it is at this moment; costs a `stat` where nothing has changed.
        """
        try:
            stamp = file_stamp(self._file)
        except FileNotFoundError:
            return self._markers
        if stamp != self._stamp:
            said = json.loads(self._file.read_bytes())
            self._secret = self._secret_file.read_bytes()
            self._markers = Markers(said["people"], tuple(Span(*each) for each in said["spans"]))
            self._stamp = stamp
        return self._markers

    def add_person(self, ids: Iterable[str], before: str) -> None:
        """Mark every id of a person; durable when it returns.

        Args:
            ids: customer_id, user_ids, session_ids.
            before: RFC 3339; what happened later is not forgotten.
        """
        known = self.markers()
        self._ensure_secret()
        self._write(Markers({**known.people, **{self.hash(each): before for each in ids}}, known.spans))

    def add_span(self, span: Span) -> None:
        """Mark the positions of a truck; durable when it returns.

        Args:
            span: truck_id, and from when until when, RFC 3339, the end not included.
        """
        known = self.markers()
        self._ensure_secret()
        self._write(Markers(known.people, [*known.spans, span]))

    def adopt(self, secret: bytes, markers: Markers) -> None:
        """Add markers that another place keeps; durable when it returns.

        Args:
            secret: with which they were hashed.
            markers: of that place.

        Raises:
            Misconfigured: this place has hashed with another secret.
        """
        if not self._secret_file.exists():
            atomic_file.write(self._secret_file, secret.decode(), mode=0o600)
        if self.secret() != secret:
            raise Misconfigured(
                f"{self._secret_file} is not the secret with which the store's markers were made: run this where the "
                "first forgetting was run, or copy that directory's forget-secret and forgotten.json"
            )
        known = self.markers()
        self._write(Markers({**markers.people, **known.people}, [*dict.fromkeys([*known.spans, *markers.spans])]))

    def secret(self) -> bytes:
        """The secret of the hashes.

        Returns:
            It, made where there was none.
        """
        self._ensure_secret()
        return self._secret

    def hash(self, id: str) -> str:
        """The keyed hash under which an id is marked.

        Args:
            id: of a customer, user or session.

        Returns:
            HMAC-SHA-256 under this installation's secret, hexadecimal.
        """
        if not self._secret:
            self._ensure_secret()
        return hmac.new(self._secret, id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def pseudonym(self, id: str) -> str:
        """What stands in place of an id.

        Args:
            id: of a customer, user or session.

        Returns:
            The same for the same id, and not to be turned back without the secret.
        """
        return PREFIX + self.hash(id)[:16]

    def is_forgotten(self, id: Json, at: str) -> bool:
        """Whether what an id did at a moment is forgotten.

        Args:
            id: as it stands in a record; anything but text is not.
            at: RFC 3339, UTC.

        Returns:
            False for what the same person did after having been forgotten.
        """
        people = self.markers().people
        return bool(people) and isinstance(id, str) and at < people.get(self.hash(id), "")

    def click(self, record: Mapping[str, Json]) -> dict[str, Json] | None:
        """A shop event as it may be kept; None where nobody in it is forgotten, so that it stays as it is.

        Args:
            record: the event under the wire's names, with its `timestamp`.

        Returns:
            The event without who did it and where from; None where nothing is to be changed.
        """
        if not self.markers().people:
            return None
        at = str(record["timestamp"])
        if not any(self.is_forgotten(record.get(name), at) for name in _WHO):
            return None
        return self.scrubbed_click(record)

    def letter(self, payload: bytes) -> bytes:
        """The bytes of a refused record as they may be kept: none where an id of somebody forgotten stands in them.

        Args:
            payload: of a dead letter, as it came.

        Returns:
            The same, or a marker in its place where it names somebody who is forgotten.
        """
        if not self.markers().people:
            return payload
        words = set(_WORDS.findall(payload.decode("utf-8", "replace")))
        return GONE if any(self.is_forgotten(word, _ANY_TIME) for word in words) else payload

    def scrubbed_click(self, record: Mapping[str, Json]) -> dict[str, Json]:
        """A shop event of a forgotten person: what was done to which article stays, who and where from does not.

        Args:
            record: the event under the wire's names.

        Returns:
            A new event, with pseudonyms in place of ids and `forgotten: true`.
        """
        kept: dict[str, Json] = {name: record[name] for name in _CLICK_KEEPS if record.get(name) is not None}
        kept |= {name: self.pseudonym(str(record[name])) for name in _WHO if record.get(name) is not None}
        if isinstance(page := record.get("page"), str):
            kept["page"] = (
                "/forgotten" if any(self.is_forgotten(part, _ANY_TIME) for part in _PARTS.split(page)) else page
            )
        if isinstance(record.get("lines"), list):
            kept["lines"] = [{name: line.get(name) for name in _LINE_KEEPS} for line in record["lines"]]
        return {**kept, "forgotten": True}

    def covers(self, truck_id: str, sampled_at: str) -> bool:
        """Whether a truck's position of a moment is forgotten.

        Args:
            truck_id: of the sample.
            sampled_at: RFC 3339, UTC.

        Returns:
            True from a span's begin up to, not including, its end.
        """
        spans = self.markers().spans
        return any(span.truck_id == truck_id and span.begin <= sampled_at < span.end for span in spans)

    def _ensure_secret(self) -> None:
        if not self._secret_file.exists():
            atomic_file.write(self._secret_file, secrets.token_hex(32), mode=0o600)
        self._secret = self._secret_file.read_bytes()

    def _write(self, markers: Markers) -> None:
        document = {"people": dict(markers.people), "spans": [list(span) for span in markers.spans]}
        atomic_file.write(self._file, json.dumps(document) + "\n", mode=0o600)


def without_position(text: str) -> str:
    """The canonical text of a sample whose position is forgotten.

    Keys that the contract does not know may say where the truck was, and go; earlier producers' spellings become the
    wire's.

    Args:
        text: as its producer sent it.

    Returns:
        Canonical text of the record without latitude, longitude and altitude.
    """
    record: dict[str, Any] = telemetry(parse(text))
    kept = {name: value for name, value in record.items() if name in Telemetry.model_fields and name != "custom"}
    gps = kept.get("gps_location")
    if isinstance(gps, dict):
        kept["gps_location"] = {**dict.fromkeys(_WHERE), "speed": gps.get("speed")}
    return canonical({**kept, "quality": {**(kept.get("quality") or {}), "gps_location": "forgotten"}})
