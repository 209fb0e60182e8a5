"""What an operator may tell a truck's agent to do, by the topic `fleet/{truck_id}/command` (docs/wire.md, "Commands").

A command is JSON text, and what is signed is that text as it stands behind PREFIX, so that nobody has to agree on how
JSON is spelled. The text names one truck: an order to many is one document for each.
"""

from typing import Any, Literal, NamedTuple

PREFIX = b"milepost-command\n"
"""Stands before the text in what is signed, so that no signature made for another purpose passes for a command's."""

LARGEST = 4096
"""Bytes of a whole message."""

LONGEST_LIFE = 7 * 86_400
"""Seconds from `issued_at` to `expires_at`, at most: so long a truck has to remember an id."""

CLOCK_TOLERANCE = 300
"""Seconds by which `issued_at` may lie in the truck's future."""

LONGEST_SNAPSHOT = 60
"""Seconds of a recording, at most."""

ID_PATTERN, NAME_PATTERN = "[0-9a-f]{32}", "[a-z_]{1,32}"
"""Of a whole id and a whole name."""

CommandState = Literal["done", "refused", "failed", "part"]
"""How an answer begins: see contract.control_messages.CommandAnswer."""

NAMES = ("sample_now", "report", "doctor", "snapshot")


class Command(NamedTuple):
    """What one truck is to do, once (contract.control_messages.CommandText). id: 128 random bits in hexadecimal.

    arguments: `seconds` for `snapshot`, else none. issued_at, expires_at: RFC 3339, UTC, to the millisecond.
    """

    truck_id: str
    id: str
    name: str
    arguments: dict[str, Any]
    issued_at: str
    expires_at: str


def signed_bytes(text: str) -> bytes:
    """What the signature of a command is over.

    Args:
        text: the command's JSON text, as it is published.

    Returns:
        PREFIX and the text's UTF-8.
    """
    return PREFIX + text.encode()


def wrong_arguments(name: str, arguments: dict[str, Any]) -> str | None:
    """Judge a command's name and arguments, for who sends it and for who carries it out.

    Args:
        name: of the command.
        arguments: name → value.

    Returns:
        What is wrong and what would be right; None where nothing is.
    """
    if name not in NAMES:
        return f"{name!r:.40} is unknown: known are {', '.join(NAMES)}"
    if name != "snapshot":
        return f"{name} takes no arguments: leave {', '.join(sorted(arguments))} out"[:300] if arguments else None
    seconds: Any = arguments.get("seconds", "")
    numeric = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if arguments.keys() == {"seconds"} and numeric and 1 <= seconds <= LONGEST_SNAPSHOT:
        return None
    return f"snapshot takes seconds, a number from 1 to {LONGEST_SNAPSHOT}"
