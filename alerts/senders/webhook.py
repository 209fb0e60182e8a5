"""Webhooks, signed as the Standard Webhooks specification says (webhook-id, webhook-timestamp, webhook-signature)."""

import base64
import hashlib
import hmac
import time
import urllib.request

from alerts.outbox import Group
from alerts.senders.errors import Untold
from alerts.settings import Receiver
from contract.codec import dump

_SECONDS = 10.0


def send_webhook(receiver: Receiver, group: Group) -> None:
    """POST the group as JSON. Any 2xx means taken.

    Raises:
        Untold: it was not.
    """
    body = dump(
        {"receiver": receiver.name, "event": group.event, "text": group.text, "messages": list(group.documents)}
    ).encode()
    request = urllib.request.Request(
        receiver.url or "", body, {"content-type": "application/json", **signed(receiver.secret or "", group, body)}
    )
    try:
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            answer.read(1)
    except (OSError, ValueError) as error:  # urllib's URLError and HTTPError are OSErrors
        raise Untold(f"{receiver.name}: {receiver.url} did not take it: {error}") from None


def signed(secret: str, group: Group, body: bytes, seconds: int | None = None) -> dict[str, str]:
    """The headers by which a receiver knows that it is we who sent this body, and when."""
    identity = hashlib.sha256("\0".join(group.ids).encode()).hexdigest()[:32]
    sent = str(int(time.time()) if seconds is None else seconds)
    digest = hmac.digest(secret.encode(), b".".join((identity.encode(), sent.encode(), body)), "sha256")
    return {
        "webhook-id": identity,
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would send what is signed for one address to another."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)
