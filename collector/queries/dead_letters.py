"""Input that was refused, and why."""

import base64
from typing import Any

from collector.rows import DeadLetter
from collector.stores import Reader
from contract import timestamps


def dead_letters(reader: Reader | None) -> list[dict[str, Any]]:
    """`[{id, received_at, source, reason, field, payload}]`, oldest first."""
    return [_row(letter) for letter in reader.dead_letters()] if reader else []


def dead_letter(reader: Reader | None, id: str) -> dict[str, Any] | None:
    """One of them, with `times`: how often it came. None where there is none of that id."""
    letter = reader.dead_letter(id) if reader else None
    return {**_row(letter), "times": letter.times} if letter else None


def _row(letter: DeadLetter) -> dict[str, Any]:
    try:
        payload: Any = letter.payload.decode("utf-8")
    except UnicodeDecodeError:
        payload = {"$base64": base64.b64encode(letter.payload).decode("ascii")}
    return {
        "id": letter.id,
        "received_at": timestamps.from_ms(letter.received_ms),
        "source": letter.source,
        "reason": letter.reason,
        "field": letter.field or None,
        "payload": payload,
    }
