"""Which items each session looked at, in time order: what recommendations are learnt from."""

from collections.abc import Iterator
from contextlib import contextmanager

from collector.rows import StoredClick
from collector.stores import Reader
from collector.stores.factory import open_reader
from contract.codec import parse

_LOOKED_AT = frozenset({"view", "click", "add_to_cart", "purchase"})


@contextmanager
def opened_reader(store_url: str) -> Iterator[Reader | None]:
    """The store for reading until the end of the block; None where there is none yet."""
    reader = open_reader(store_url)
    try:
        yield reader
    finally:
        if reader:
            reader.close()


def item_sessions(reader: Reader | None) -> dict[str, list[str]]:
    """session_id → item_ids in time order, oldest session first.

    Only views, clicks, additions and purchases count, and of one item in a row only one. Events without a session or
    an item say nothing here.
    """
    found: dict[str, list[str]] = {}
    for click in reader.clicks() if reader else ():  # ascending in time
        if click.session_id is not None:
            _look(found.setdefault(click.session_id, []), click)
    return {session_id: items for session_id, items in found.items() if items}


def items_of_session(reader: Reader | None, session_id: str) -> list[str]:
    """The item_ids that one session looked at, in time order."""
    items: list[str] = []
    for click in reader.clicks_of_session(session_id) if reader else ():
        _look(items, click)
    return items


def items_of_user(reader: Reader | None, user_id: str) -> list[str]:
    """The item_ids that one user looked at in all sessions, in time order. Reads every event."""
    items: list[str] = []
    for click in reader.clicks() if reader else ():
        if f'"{user_id}"' in click.text and parse(click.text).get("user_id") == user_id:
            _look(items, click)
    return items


def _look(items: list[str], click: StoredClick) -> None:
    item_id = click.counter.item_id
    if item_id is not None and click.counter.event_type in _LOOKED_AT and items[-1:] != [item_id]:
        items.append(item_id)
