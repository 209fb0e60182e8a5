"""What sensors believe of a quantity, and how a new process goes on from it."""

from collections.abc import Mapping
from typing import Protocol

from agent.sensors import Memory
from agent.sensors.uptime import uptime
from contract.codec import Json


class RememberedBelief(Protocol):
    """What is believed of one quantity, and may outlive a process."""

    def memory(self, now: float, /) -> dict[str, Json] | None:
        """What it believes.

        Args:
            now: uptime, seconds.

        Returns:
            What `recall` needs, with `age` in seconds; None where it believes nothing.
        """

    def recall(self, now: float, memory: Mapping[str, Json], age: float, /) -> None:
        """Go on from what an earlier process believed.

        Args:
            now: uptime, seconds.
            memory: its `memory`; what cannot be understood is passed over.
            age: seconds since it was heard.
        """


def recall_all(beliefs: Mapping[str, RememberedBelief], memory: Memory, later: float) -> None:
    """Each belief goes on from what is remembered of it; see agent.sensors.Remembering."""
    for name, belief in beliefs.items():
        remembered = memory.get(name)
        if isinstance(remembered, Mapping) and isinstance(age := remembered.get("age"), float | int):
            belief.recall(uptime(), remembered, max(0.0, age) + later)
