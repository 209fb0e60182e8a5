"""What travels: handed to the transport, and neither delivered nor refused. Pure."""

from typing import NamedTuple

from agent.buffer import BufferRow, join_batch


class OutgoingMessage(NamedTuple):
    """What goes out as one message: these samples, alone or as a batch."""

    seqs: tuple[int, ...]
    payload: bytes
    backlog: bool

    @classmethod
    def of(cls, rows: list[BufferRow], *, backlog: bool) -> "OutgoingMessage":
        """One sample as it is, several as a batch."""
        payload = join_batch(rows) if len(rows) > 1 else rows[0].body
        return cls(tuple(row.seq for row in rows), payload, backlog)

    @property
    def batch(self) -> bool:
        """Whether the payload is `{"records":[…]}` and not one sample."""
        return len(self.seqs) > 1


class InFlight:
    """The messages of one connection by their tokens.

    seqs: the samples in them. backlog_bytes: of those that are backlog.
    """

    def __init__(self) -> None:
        self._messages: dict[int, OutgoingMessage] = {}
        self.seqs: set[int] = set()
        self.backlog_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, token: int, message: OutgoingMessage) -> None:
        """A message goes now."""
        self._messages[token] = message
        self.seqs.update(message.seqs)
        if message.backlog:
            self.backlog_bytes += len(message.payload)

    def pop(self, token: int) -> tuple[int, ...]:
        """An answer came: the samples of that message; none for a token of an earlier connection or of no sample."""
        message = self._messages.pop(token, None)
        if message is None:
            return ()
        self.seqs.difference_update(message.seqs)
        if message.backlog:
            self.backlog_bytes -= len(message.payload)
        return message.seqs

    def clear(self) -> None:
        """The connection has ended."""
        self._messages.clear()
        self.seqs.clear()
        self.backlog_bytes = 0
