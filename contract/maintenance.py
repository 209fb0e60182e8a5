"""When something is due on a truck: the limits of `maintenance.toml`, and the items that a service is recorded for."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "maintenance.toml"
_TYRES = ("tyre_fl", "tyre_fr", "tyre_rl", "tyre_rr")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One line of the table.

    name: an item, or tyre for all four. limit, unit: the value. words: of a status that asks for service. days: the
    window before the newest sample, 0 where the newest state alone counts. hours: of the window that must show it.
    ends: when it is no longer due.
    """

    name: str
    unit: str
    ends: str
    limit: float | None = None
    words: tuple[str, ...] = ()
    days: int = 0
    hours: int = 0


@cache
def thresholds() -> dict[str, Threshold]:
    """The table of limits.

    Returns:
        Name → its line, in the order of the table; read once.
    """
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {name: Threshold(name, **{**line, "words": tuple(line.get("words", ()))}) for name, line in table.items()}


def asks_for_service(item: str, status: str | None) -> bool:
    """Whether a truck's own status says that something is due.

    Args:
        item: brakes or transmission.
        status: what the truck says; None where it says nothing.

    Returns:
        True where the status has one of the words of the item's line.
    """
    return status is not None and any(word in status.lower() for word in thresholds()[item].words)


def items() -> tuple[str, ...]:
    """What can be due and be serviced: `maintenance_due.item`.

    Returns:
        In the order of the table; a tyre by its wheel.
    """
    found: list[str] = []
    for name in thresholds():
        found += _TYRES if name == "tyre" else (name,)
    return tuple(found)
