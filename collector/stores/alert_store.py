"""Where alerts and what is still to be told of them are kept: part of every `Store`, which knows nothing of rules."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from collector.rows import AlertChange, AlertRow, OutboxMessage

REVISION = "revision"
"""The key under which a subject's revision is kept."""


class AlertReader(Protocol):
    """What is read of alerts."""

    def alert_rows(self, subject: str | None = None) -> list[AlertRow]:
        """The rows of one subject, or of all, by subject and key; without their revisions.

        Args:
            subject: a truck, an item, …; None: all.

        Returns:
            None where nothing is known of the subject.
        """
        ...

    def alert_revision(self, subject: str) -> int:
        """The revision of a subject's rows, 0 where it has none. Read it before the rows.

        Args:
            subject: whose rows.

        Returns:
            It rises by one with each change.
        """
        ...

    def outbox(self, receiver: str, until_ms: int, most: int) -> list[OutboxMessage]:
        """A receiver's messages that are due by an instant (Unix ms), the longest waiting first, at most so many.

        Args:
            receiver: by its name in the settings.
            until_ms: Unix ms.
            most: at most so many.

        Returns:
            They stay until `settle_outbox` says that they were told.
        """
        ...

    def outbox_size(self) -> int:
        """How many messages wait, due or not.

        Returns:
            Of all receivers together.
        """
        ...


class AlertStore(AlertReader, Protocol):
    """What is written of alerts. Every call is one act: whole or not at all, durable when it returns."""

    def change_alerts(self, change: AlertChange) -> None:
        """Apply a change and raise the subject's revision by one.

        Args:
            change: rows to write and to remove of one subject, and messages to send.

        Raises:
            Conflict: nothing was changed, the rows are not of the revision that the change was made from.
            Retryable: nothing was changed, or all of it.
        """
        ...

    def settle_outbox(self, told: Sequence[str], postponed: Mapping[str, int]) -> None:
        """Forget the messages that were told, and try others again later.

        Args:
            told: ids.
            postponed: id → Unix ms of the next attempt; their attempts are counted.
        """
        ...
