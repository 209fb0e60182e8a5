"""Really sends what actions make: one function a kind, on boto3 clients or the injected publish.

`Targets.send` takes all records of one action of one message (several only in firehose's batch mode) and returns
when the service has them. Raises DeliveryFailed with AWS's own words. Pages: one a kind, iot-rule-actions.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from contract.errors import Misconfigured
from iot_rules.actions import Delivery
from iot_rules.clients import Clients
from iot_rules.engine import TopicRule
from iot_rules.errors import DeliveryFailed


@dataclass(frozen=True, slots=True)
class Publication:
    """What a republish action publishes. headers: MQTT 5, as the action's document has them, templates filled."""

    topic: str
    payload: bytes
    qos: int
    headers: dict[str, Any]


Publish = Callable[[Publication], None]


class Targets:
    """Where actions deliver. publish: None where nothing can be republished."""

    def __init__(self, clients: Clients, publish: Publish | None = None) -> None:
        self._clients = clients
        self._publish = publish

    def require(self, rules: Iterable[TopicRule]) -> None:
        """Refuse at the start what could only be lost later.

        Args:
            rules: all that will run.

        Raises:
            Misconfigured: an action that cannot be run here, by name.
        """
        for rule in rules:
            kinds = [action.kind for action in (*rule.actions, rule.error_action) if action is not None]
            for kind in kinds:
                if kind not in _SENDERS:
                    known = ", ".join(sorted(_SENDERS))
                    raise Misconfigured(f"rule {rule.name}: the action {kind} is not run locally: these are: {known}")
                if kind == "republish" and self._publish is None:
                    raise Misconfigured(f"rule {rule.name}: republish needs a broker, and none is given")

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Send one action's records; taken by the service when it returns.

        Args:
            deliveries: of one action, one or more, in order.

        Raises:
            DeliveryFailed: a record was not taken.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        kind = deliveries[0].action_type
        try:
            _SENDERS[kind](self, deliveries)
        except (ClientError, BotoCoreError) as error:
            raise DeliveryFailed(f"{_VERBS[kind]}. The error received was {error}") from error
        except UnicodeDecodeError:
            raise DeliveryFailed(f"{_VERBS[kind]}. It takes text, and the payload is not UTF-8: encode() it") from None

    def _kinesis(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            self._clients.get("kinesis").put_record(
                StreamName=each.parameters["streamName"],
                PartitionKey=each.parameters["partitionKey"],
                Data=each.payload,
            )

    def _firehose(self, deliveries: Sequence[Delivery]) -> None:
        stream = deliveries[0].parameters["deliveryStreamName"]
        records = [{"Data": each.payload} for each in deliveries]
        client = self._clients.get("firehose")
        if len(records) == 1:
            client.put_record(DeliveryStreamName=stream, Record=records[0])
            return
        answer = client.put_record_batch(DeliveryStreamName=stream, Records=records)
        if answer["FailedPutCount"]:
            raise DeliveryFailed(f"{_VERBS['firehose']}: {answer['FailedPutCount']} of {len(records)} were refused")

    def _dynamodb_v2(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            document = json.loads(each.payload, parse_float=Decimal)
            self._clients.get("dynamodb").put_item(
                TableName=each.parameters["putItem"]["tableName"],
                Item={key: attribute(value) for key, value in document.items()},
            )

    def _sqs(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            body = each.payload.decode("utf-8")
            self._clients.get("sqs").send_message(QueueUrl=each.parameters["queueUrl"], MessageBody=body)

    def _s3(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            acl = each.parameters.get("cannedAcl")
            self._clients.get("s3").put_object(
                Bucket=each.parameters["bucketName"],
                Key=each.parameters["key"],
                Body=each.payload,
                **({"ACL": acl} if acl else {}),
            )

    def _lambda(self, deliveries: Sequence[Delivery]) -> None:
        for each in deliveries:
            each.payload.decode("utf-8")
            self._clients.get("lambda").invoke(
                FunctionName=each.parameters["functionArn"], InvocationType="Event", Payload=each.payload
            )

    def _republish(self, deliveries: Sequence[Delivery]) -> None:
        if self._publish is None:
            raise DeliveryFailed(f"{_VERBS['republish']}: no broker is given")
        for each in deliveries:
            qos, headers = int(each.parameters.get("qos", 0)), each.parameters.get("headers", {})
            self._publish(Publication(each.parameters["topic"], each.payload, qos, headers))


_SENDERS: dict[str, Callable[[Targets, Sequence[Delivery]], None]] = {
    "dynamoDBv2": Targets._dynamodb_v2,
    "firehose": Targets._firehose,
    "kinesis": Targets._kinesis,
    "lambda": Targets._lambda,
    "republish": Targets._republish,
    "s3": Targets._s3,
    "sqs": Targets._sqs,
}
_VERBS = {
    "dynamoDBv2": "Failed to put the item",
    "firehose": "Failed to put records to Firehose",
    "kinesis": "Failed to put the record to Kinesis",
    "lambda": "Failed to invoke the function",
    "republish": "Failed to republish",
    "s3": "Failed to put S3 object",
    "sqs": "Failed to send the message to SQS",
}


def attribute(value: Any) -> dict[str, Any]:
    """A JSON value as DynamoDB's own type (page: dynamodb-v2-rule-action)."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | Decimal):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [attribute(each) for each in value]}
    return {"M": {key: attribute(each) for key, each in value.items()}}
