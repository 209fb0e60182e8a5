"""An identity for events that bring none: neither an event_id nor a time.

Two page views of two visitors say the very same then, and by their content alone one would be lost as a duplicate of
the other. So the door, which alone knows who sent it and when, makes the identity: a keyed hash of content, address and
minute. The key keeps the address from being found again. A retry within the minute is a duplicate, a later one is not.
"""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.types import Scope

from contract import timestamps
from contract.codec import Json, canonical, dump
from contract.errors import Rejected
from contract.http_access import Network, client_address
from contract.ingest_items import Item

PREFIX = "anon-"
NO_EVENT_ID = "missing: one was made, so a retry after a minute counts again; send an event_id"
_IDS = ("event_id", "UUID")
_TIMES = ("timestamp", "Timestamp")
_MINUTE = len("2026-01-01T00:00")


class AnonymousEvents:
    """Gives identities.

    Args:
        secret: the installation's own; all processes that serve one shop share it. Empty: events keep the identity of
            their content.
        trusted: proxies whose client address is believed.
    """

    def __init__(self, secret: str, trusted: Sequence[Network] = ()) -> None:
        self._secret, self._trusted = secret.encode(), trusted

    def identified(self, items: list[Item], scope: Scope) -> list[Item]:
        """The items of one request; those that have neither an id nor a time now have an event_id."""
        if not self._secret or all(_has_identity(item.record) for item in items):
            return items
        client = scope.get("client")
        address = client_address(client[0] if client else None, scope["headers"], self._trusted)
        return [item if _has_identity(item.record) else self._identified(item, address) for item in items]

    def _identified(self, item: Item, address: str) -> Item:
        event: Json = item.record
        own = {key: value for key, value in event.items() if key not in (*_IDS, "sent_at")}
        minute = timestamps.from_ms(item.received_ms)[:_MINUTE]
        try:
            said = f"{canonical(own)}\0{address}\0{minute}"
        except Rejected:  # it holds what JSON cannot say, and is judged by its content
            return item
        name = PREFIX + hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()[:40]
        record = {"event_id": name, **{key: value for key, value in event.items() if key not in _IDS}}
        return item._replace(record=record, text=_text(item, record, name))


def _has_identity(record: Json) -> bool:
    """Also what is no object, which ingest refuses."""
    return not isinstance(record, dict) or any(record.get(key) not in (None, "") for key in (*_IDS, *_TIMES))


def _text(item: Item, record: dict[str, Json], name: str) -> str:
    """The source text with the identity in it, so that a stream carries it on."""
    source = str(item.text or "").strip()
    if not source or any(key in item.record for key in _IDS):
        return dump(record)
    inside = source[1:].lstrip()
    return f'{{"event_id":"{name}"{"" if inside.startswith("}") else ","}{inside}'
