"""A truck's line to who commands it: the subscription to its command topic, and the answers that reports carry.

A truck with the policy of an earlier release has no right to that topic, and some brokers end the connection of whoever
asks for it. So when ENDS connections in a row end within SUSPICIOUS seconds of asking, before the broker granted it, it
is not asked for again until the agent restarts. A refusal alone costs nothing, and the next connection asks again: a
truck may be new, and its rights on their way to the broker.
"""

from collections.abc import Callable, Iterable, Sequence
from logging import getLogger
from typing import Any

from agent.publishing.hears import Answers
from agent.timing.cloud_time import SUSPICIOUS
from agent.transport import Transport

log = getLogger(__name__)

ENDS = 3
"""In a row: a line that is merely bad may end once or twice at that moment."""


class CommandChannel:
    """One truck's. answers: None where nobody carries out commands; then it neither listens nor says anything."""

    def __init__(
        self, topic: str, transport: Transport, answers: Answers | None, monotonic: Callable[[], float]
    ) -> None:
        self._topic, self._transport, self._answers, self._monotonic = topic, transport, answers, monotonic
        self._asked_at: float | None = None
        self._ends = 0
        self._told = False
        self._travelling: dict[int, Sequence[dict[str, Any]]] = {}

    def connected(self) -> None:
        """A connection stands: ask for what comes on the topic."""
        if self._answers and self._ends < ENDS:
            self._asked_at = self._monotonic()
            self._transport.listen(self._topic, qos=1)

    def granted(self, topic: str) -> None:
        """The broker lets this truck hear a topic."""
        if topic == self._topic:
            self._asked_at, self._ends, self._told = None, 0, False

    def refuse(self, reason: str) -> None:
        """The broker does not let this truck hear its commands."""
        if not self._told:
            log.warning("commands_refused reason=%r until=next_connection", reason)
        self._told = True

    def lost(self) -> None:
        """The connection has ended, and what travelled with it; soon after the asking, that is taken for the cause."""
        if self._asked_at is not None:
            self._ends = self._ends + 1 if self._monotonic() - self._asked_at <= SUSPICIOUS else 0
            if self._ends == ENDS:
                log.warning("commands_refused reason='connections ended right after asking' until=restart")
        self._asked_at = None
        for token in list(self._travelling):
            self.ended(token)

    def waiting(self) -> Sequence[dict[str, Any]]:
        """What the next report is to say of commands."""
        return self._answers.waiting() if self._answers else ()

    def sent(self, token: int | None, answers: Sequence[dict[str, Any]]) -> None:
        """A report with these is on its way under a token; None: it could not be made."""
        if self._answers and answers:
            if token is None:
                self._answers.returned(answers)
            else:
                self._travelling[token] = answers

    def delivered(self, tokens: Iterable[int]) -> None:
        """The broker has acknowledged messages."""
        for token in tokens if self._travelling else ():
            if self._answers and (answers := self._travelling.pop(token, None)):
                self._answers.acknowledged(answers)

    def ended(self, token: int) -> None:
        """A message did not arrive, and is no report of ours or waits to be said again."""
        if self._answers and (answers := self._travelling.pop(token, None)):
            self._answers.returned(answers)
