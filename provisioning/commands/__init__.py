"""Commands to trucks' agents: signed here, carried by a door, and what trucks answered.

`order` makes and follows them; a door is what reaches the trucks: `local_broker` at a running box, `aws_iot` at AWS IoT
Core.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Heard:
    """Something of a truck. kind: `report` or `status`; document: as contract.control_messages has it."""

    truck_id: str
    kind: str
    document: Mapping[str, Any]


class CommandDoor(Protocol):
    """The way to the trucks' command topics. Unreachable where there is none.

    Publishing is at least once, to whoever is connected: a truck that is away hears nothing of it.
    """

    @property
    def hears_answers(self) -> bool:
        """Whether `heard` tells of reports."""
        ...

    def publish(self, truck_id: str, payload: bytes) -> None:
        """Say it, QoS 1, not retained.

        Args:
            truck_id: to whom.
            payload: a signed command.

        Raises:
            Unreachable: the broker did not take it.
        """
        ...

    def statuses(self, truck_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """What trucks said of themselves last.

        Args:
            truck_ids: whose is wanted.

        Returns:
            Truck → its retained status; without those that have none.
        """
        ...

    def heard(self, seconds: float) -> Iterator[Heard]:
        """What trucks say from now on.

        Args:
            seconds: after so many without a word it ends.

        Returns:
            One after the other.
        """
        ...


Door = AbstractContextManager[CommandDoor]
