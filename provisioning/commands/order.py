"""One order to many trucks: a signed command for each, said again until it is answered, and what they answered."""

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.codec import dump
from contract.commands import Command, signed_bytes
from contract.timestamps import from_datetime
from provisioning.command_key import CommandKey
from provisioning.commands import CommandDoor, Heard

LIFE_SECONDS = 600.0
"""How long a command is good, where nobody waits longer for its answer."""

_AGAIN_SECONDS = 10.0
_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class Order:
    """What one truck was told, and what it said. answer: None so far. heard_at: monotonic seconds of the last word of
    it. pieces: of a recording, by number."""

    truck_id: str
    id: str
    payload: bytes
    answer: dict[str, Any] | None = None
    heard_at: float = 0.0
    pieces: dict[int, bytes] = field(default_factory=dict)

    @property
    def lacks(self) -> int:
        """Pieces that the answer promised and that have not come."""
        detail = (self.answer or {}).get("detail")
        promised = detail.get("pieces", 0) if isinstance(detail, dict) else 0
        return max(0, promised - len(self.pieces)) if isinstance(promised, int) else 0

    @property
    def whole(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.answer is not None and not self.lacks

    def recording(self) -> bytes:
        """The pieces in their order."""
        return b"".join(self.pieces[number] for number in sorted(self.pieces))


def order(key: CommandKey, truck_id: str, name: str, arguments: Mapping[str, Any], life: float) -> Order:
    """A new command to one truck.

    Args:
        key: the operator's.
        truck_id: whose agent is to do it.
        name: what.
        arguments: see contract.commands.
        life: seconds for which it is good.

    Returns:
        With a new random id, and the bytes to publish.

    Raises:
        Misconfigured: there is no key.
    """
    now = datetime.now(UTC)
    command = Command(
        truck_id=truck_id,
        id=secrets.token_hex(16),
        name=name,
        arguments=dict(arguments),
        issued_at=from_datetime(now),
        expires_at=from_datetime(now + timedelta(seconds=life)),
    )
    return Order(truck_id, command.id, sealed(key, command))


def sealed(key: CommandKey, command: Command) -> bytes:
    """A command as it is published.

    Args:
        key: the operator's.
        command: what is to be done.

    Returns:
        JSON: its text, and the signature of that.

    Raises:
        Misconfigured: there is no key.
    """
    text = dump(command._asdict())
    signature = base64.b64encode(key.sign(signed_bytes(text))).decode("ascii")
    return dump({"command": text, "signature": signature}).encode()


def follow(
    door: CommandDoor, orders: Sequence[Order], wait: float, tell: Callable[[Order], None] = lambda order: None
) -> None:
    """Publish, and while there is time wait for the answers: said again every ten seconds and to whoever comes back.

    Args:
        door: to the trucks.
        orders: of one truck each.
        wait: seconds; 0 publishes once and returns.
        tell: called with each order once its answer is whole.

    Raises:
        Unreachable: the broker does not take them.
    """
    waiting = {order.truck_id: order for order in orders}
    _say(door, waiting.values())
    end, again = time.monotonic() + wait, time.monotonic() + _AGAIN_SECONDS
    while waiting and wait and (now := time.monotonic()) < end:
        for heard in door.heard(min(_LOOK_SECONDS, end - now)):
            order = waiting.get(heard.truck_id)
            if order and _came_back(heard):
                _say(door, [order])
            if order and _takes(order, heard):
                del waiting[heard.truck_id]
                tell(order)
            if time.monotonic() >= min(end, again):
                break
        if (now := time.monotonic()) >= again:
            again = now + _AGAIN_SECONDS
            _say(door, (order for order in waiting.values() if order.heard_at < now - _AGAIN_SECONDS))


def _say(door: CommandDoor, orders: Iterable[Order]) -> None:
    for order in list(orders):
        door.publish(order.truck_id, order.payload)


def _came_back(heard: Heard) -> bool:
    return heard.kind == "status" and heard.document.get("state") == "online"


def _takes(order: Order, heard: Heard) -> bool:
    """Take from a report what is for this order; whether it is whole by that."""
    said = heard.document.get("commands") if heard.kind == "report" else None
    before = order.whole
    for answer in said if isinstance(said, list) else ():
        if not isinstance(answer, dict) or answer.get("id") != order.id:
            continue
        order.heard_at = time.monotonic()
        if answer.get("state") == "part":
            _take_piece(order, answer.get("detail"))
        elif order.answer is None:
            order.answer = {"state": answer.get("state"), "detail": answer.get("detail")}
    return order.whole and not before


def _take_piece(order: Order, detail: Any) -> None:
    try:
        order.pieces[int(detail["part"])] = base64.b64decode(detail["data"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error):
        return
