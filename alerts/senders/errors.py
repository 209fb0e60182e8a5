"""What goes wrong when somebody is told."""

from contract.errors import Retryable


class Untold(Retryable):
    """A receiver did not take a delivery; it stays in the outbox."""
