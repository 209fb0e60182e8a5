"""Who is told of what the publisher hears, and who has answers for its reports."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from agent.timing.cloud_time import CloudInstant


class Answers(Protocol):
    """What a truck has to say about its commands (agent.runtime.commands)."""

    def waiting(self) -> Sequence[dict[str, Any]]:
        """Take what the next report is to say.

        Returns:
            Contents of contract.control_messages.CommandAnswer, under 20 KB in all; each is on its way from now on.
        """

    def acknowledged(self, answers: Sequence[dict[str, Any]]) -> None:
        """The broker has these: they need not be said again.

        Args:
            answers: as `waiting` gave them.
        """

    def returned(self, answers: Sequence[dict[str, Any]]) -> None:
        """These did not arrive: they wait again.

        Args:
            answers: as `waiting` gave them.
        """


class Hears(NamedTuple):
    """Who is told of what comes. config: gets each document of the config topic. ack: gets the highest token of each
    PUBACK (`Publisher.last_token` is the latest that was given out). time: gets each answer to `ask_time`, and says
    whether it was believed. command: gets each message of the command topic, and whether the
    broker had kept it."""

    config: Callable[[bytes], None] = lambda payload: None
    ack: Callable[[int], None] = lambda token: None
    time: Callable[[CloudInstant], bool] = lambda instant: False
    command: Callable[[bytes, bool], None] = lambda payload, retained: None
