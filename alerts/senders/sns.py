"""Amazon SNS."""

from functools import cache
from typing import Any

from alerts.outbox import Group
from alerts.senders.errors import Untold
from alerts.settings import Receiver
from contract.codec import dump


def send_sns(receiver: Receiver, group: Group) -> None:
    """Publish the group to the topic; its subject is the group's line.

    Raises:
        Untold: SNS did not take it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    text = dump({"event": group.event, "text": group.text, "messages": list(group.documents)})
    subject = "".join(each if 32 <= ord(each) < 127 else "?" for each in group.text)[:99]
    try:
        _client().publish(TopicArn=receiver.topic_arn, Subject=subject, Message=text)
    except (BotoCoreError, ClientError) as error:
        raise Untold(f"{receiver.name}: SNS did not take it: {error}") from None


@cache
def _client() -> Any:
    import boto3

    return boto3.client("sns")
