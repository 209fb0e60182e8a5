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
        if len(rows) == 1:
            ((seq, body),) = rows
            return cls((seq,), body, backlog)
        return cls(tuple(row.seq for row in rows), join_batch(rows), backlog)

    @property
    def batch(self) -> bool:
        """Whether the payload is `{"records":[…]}` and not one sample."""
        return len(self.seqs) > 1


class InFlight:
    """The messages of one connection by their tokens.

    backlog_bytes: of those that are backlog.
    """

    def __init__(self) -> None:
        self._messages: dict[int, OutgoingMessage] = {}
        self.backlog_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def seqs(self) -> set[int]:
        """The samples in them."""
        return {seq for message in self._messages.values() for seq in message.seqs}

    def add(self, token: int, message: OutgoingMessage) -> None:
        """A message goes now."""
        self._messages[token] = message
        if message.backlog:
            self.backlog_bytes += len(message.payload)

    def pop(self, token: int) -> tuple[int, ...]:
        """An answer came: the samples of that message; none for a token of an earlier connection or of no sample."""
        message = self._messages.pop(token, None)
        if message is None:
            return ()
        if message.backlog:
            self.backlog_bytes -= len(message.payload)
        return message.seqs

    def clear(self) -> None:
        """The connection has ended."""
        self._messages.clear()
        self.backlog_bytes = 0
