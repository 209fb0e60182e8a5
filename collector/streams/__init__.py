"""Ordered, durable queues between a door and ingest: the `Stream` protocol (docs/architecture.md).

Promises, to whoever puts:

- **Durable.** What `put` does not name as refused is in the stream, replicated, when it returns.
- **Order.** Records of one key are put in the order given; where the service takes a later one and refuses an earlier
  one of the same request, the refused one follows as soon as it is taken. History does not depend on order
  (docs/history.md); this only keeps live data flowing in sequence.
- **Refused.** A record that no retry can place is named with its reason; the others go.
- **Who retries.** `put` retries what may pass by itself, with jitter; then it raises Retryable, and part of the
  records may be in the stream. Putting them again is safe, since identities make a repeat harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.errors import Rejected


@dataclass(frozen=True, slots=True)
class Record:
    """key: what keeps its order, a truck_id or a session. data: the bytes as the consumer gets them."""

    key: str
    data: bytes


class Stream(Protocol):
    """Where records go; see the module for the promises."""

    def put(self, records: Sequence[Record]) -> list[Rejected | None]:
        """Put records, in the order given for each key; see the module for the promises.

        Args:
            records: any number; a service's own limits on one request are the stream's affair.

        Returns:
            For each record None, then it is durable, or why it can never be taken.

        Raises:
            Retryable: part of them may be in the stream; all may be put again.
        """
        ...
