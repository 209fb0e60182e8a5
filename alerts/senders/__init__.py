"""How a receiver is told: a sender returns when the receiver has taken a delivery, else it raises Untold."""

from alerts.outbox import Group
from alerts.senders.email import send_email
from alerts.senders.errors import Untold
from alerts.senders.webhook import send_webhook
from alerts.settings import Receiver

__all__ = ["Untold", "send"]


def send(receiver: Receiver, group: Group) -> None:
    """Tell a receiver; it has taken the delivery when this returns.

    Args:
        receiver: who.
        group: what, in one delivery.

    Raises:
        Untold: it did not take it; the same again later.
    """
    if receiver.kind == "webhook":
        send_webhook(receiver, group)
    elif receiver.kind == "email":
        send_email(receiver, group)
    else:
        from alerts.senders.sns import send_sns

        send_sns(receiver, group)
