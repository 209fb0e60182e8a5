"""From which value on something is due on a truck, or is told: the table `thresholds.toml`."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).parent / "thresholds.toml"
_TYRES = ("tyre_fl", "tyre_fr", "tyre_rl", "tyre_rr")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One line of the table.

    name: of an item, tyre for all four, or of what is only told. due: it is an item that a service is recorded for.
    limit, unit: the value. words: of a status that asks for service. days: the window of `maintenance_due` before the
    newest sample, 0 where the newest state alone counts. hours: of the window that must show it. minutes, samples: for
    how long an alert must see it. ends: when it is over.
    """

    name: str
    due: bool
    unit: str
    ends: str
    limit: float | None = None
    words: tuple[str, ...] = ()
    days: int = 0
    hours: int = 0
    minutes: int = 0
    samples: int = 1


@cache
def thresholds() -> dict[str, Threshold]:
    """The table.

    Returns:
        Name → its line, in the order of the table; read once.
    """
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        name: Threshold(name, group == "due", **{**line, "words": tuple(line.get("words", ()))})
        for group, lines in table.items()
        for name, line in lines.items()
    }


def limit(name: str) -> float:
    """The value of a line that has one.

    Args:
        name: of the line.

    Returns:
        Its limit, in the line's unit.

    Raises:
        KeyError: there is no such line, or it has no limit.
    """
    found = thresholds()[name].limit
    if found is None:
        raise KeyError(name)
    return found


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
    for name, line in thresholds().items():
        if line.due:
            found += _TYRES if name == "tyre" else (name,)
    return tuple(found)
