"""Where a value that a fleet maps by itself goes: a field of the wire, or a name under `custom`. Pure."""

from collections.abc import Mapping

from agent.sensors.fields import ACTIVE_FAULTS, LEAVES, MEASURES, Reason, as_float, is_custom, settle, settle_custom
from contract.codec import Json

TARGETS: tuple[str, ...] = tuple(leaf for leaf in LEAVES if leaf != ACTIVE_FAULTS)
"""Fields that a map may name; trouble codes have a shape of their own."""


def wrong_target(target: str) -> str | None:
    """What is wrong with a target of a map.

    Args:
        target: what the map says.

    Returns:
        The reason with its remedy, None where nothing is.
    """
    if target in TARGETS or is_custom(target):
        return None
    if target.startswith("custom."):
        return f"{target!r}: after `custom.` come a-z, 0-9 and _, a letter first, at most 64"
    return f"{target!r} is no field of the wire: use one of those in docs/wire.md, or custom.NAME"


def put(target: str, value: Json, values: dict[str, object], quality: dict[str, Reason]) -> None:
    """File a value under its target as it goes on the wire, or why it does not.

    Args:
        target: one that `wrong_target` finds nothing wrong with.
        value: in the wire's unit; None for "not available".
        values: gets it.
        quality: gets the reason where there is no value, or none that can be true.
    """
    outcome = settled(target, value)
    if outcome in ("not_available", "implausible"):
        quality[target] = outcome
    else:
        values[target] = outcome


def settled(target: str, value: Json) -> object:
    """A value as it goes on the wire.

    Args:
        target: one that `wrong_target` finds nothing wrong with.
        value: in the wire's unit.

    Returns:
        It, rounded or cut, or `not_available` or `implausible`.
    """
    if value is None:
        return "not_available"
    if is_custom(target):
        return settle_custom(value)
    if target not in MEASURES:
        return value if isinstance(value, str) else "implausible"
    if isinstance(value, bool | str | Mapping | list):
        return "implausible"
    return settle(target, as_float(value))
