"""An event as a row of the table `clicks`, and back."""

from collections.abc import Sequence
from typing import Any

from collector.rows import Counter, StoredClick

CLICK = (
    "event_id, timestamp, session_id, page, minute, item_id, item_name, event_type, count, received_ms, text, content,"
    " sent_at, user_id, customer_id, is_bot"
)
"""The columns, in the order of `read_click` and `click_row`."""
PUT = f"INSERT OR REPLACE INTO clicks ({CLICK}) VALUES"
"""For many_rows.insert."""


def read_click(row: Sequence[Any]) -> StoredClick:
    """The event of a row of the columns CLICK."""
    event_id, timestamp, session_id, page, *counter, count, received_ms, text, content, sent_at, user, customer, bot = (
        row
    )
    return StoredClick(
        event_id,
        timestamp,
        session_id,
        page,
        Counter(*counter),
        count,
        received_ms,
        text,
        content,
        sent_at,
        user_id=user,
        customer_id=customer,
        is_bot=bool(bot),
    )


def click_row(click: StoredClick) -> tuple[str | int | None, ...]:
    """What PUT takes."""
    counter = click.counter
    return (
        click.event_id,
        click.timestamp,
        click.session_id,
        click.page,
        counter.minute,
        counter.item_id,
        counter.item_name,
        counter.event_type,
        click.count,
        click.received_ms,
        click.text,
        click.content,
        click.sent_at,
        click.user_id,
        click.customer_id,
        click.is_bot,
    )
