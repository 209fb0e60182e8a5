"""E-mail by SMTP."""

import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from alerts.outbox import Group
from alerts.senders.errors import Untold
from alerts.settings import Receiver
from contract import timestamps

_SECONDS = 20.0


def send_email(receiver: Receiver, group: Group) -> None:
    """Hand the group to the mail server as one message. Taken when the server has accepted it for every address.

    Raises:
        Untold: it was not.
    """
    host, _, port = (receiver.server or "").partition(":")
    context = ssl.create_default_context()
    try:
        if receiver.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, int(port), timeout=_SECONDS)
        with server:
            if receiver.tls == "starttls":
                server.starttls(context=context)
            if receiver.user:
                server.login(receiver.user, receiver.password or "")
            refused = server.send_message(_message(receiver, group))
    except (OSError, smtplib.SMTPException) as error:
        raise Untold(f"{receiver.name}: {receiver.server} did not take it: {error}") from None
    if refused:
        raise Untold(f"{receiver.name}: {receiver.server} refused {', '.join(refused)}")


def _message(receiver: Receiver, group: Group) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = " ".join(f"[{group.severity}] {group.text}".split())[:200]  # what a truck said may have newlines
    mail["From"] = receiver.sender
    mail["To"] = ", ".join(receiver.to)
    mail["Date"] = format_datetime(timestamps.to_datetime(group.documents[-1]["at"]))
    mail["Message-ID"] = f"<{hashlib.sha256(repr(group.ids).encode()).hexdigest()[:32]}@milepost>"
    if group.event == "report":
        report = group.documents[0]["report"]
        mail.set_content(f"{group.text}\n\nMart: {report['mart']} (docs/metrics.md). Times are UTC.\n")
        mail.add_attachment(report["csv"].encode(), maintype="text", subtype="csv", filename=f"{report['name']}.csv")
        return mail
    lines = []
    for document in group.documents:
        alert = document["alert"]
        lines.append(f"{alert['subject']}: {alert['title']} {alert['evidence']}".rstrip())
        lines.append(f"  from {alert['start']} until {alert['end'] or 'now'}; alert {alert['id']}")
        lines += [f"  {at}  {value}" for at, value in alert["samples"]]
    mail.set_content("\n".join(lines) + "\n")
    return mail
