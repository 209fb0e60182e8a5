"""What each kind of action makes of a rule's output before it sends it (reference: one page an action).

Only what AWS IoT itself does is here: firehose's separator and batches, sqs's base64, the objects that dynamoDBv2
insists on, kinesis's partition key. Everything else gets the output's bytes as they are.
"""

import base64
from collections.abc import Callable
from typing import Any

from iot_rules.sql import Surroundings, Value, dump

_MAX_PARTITION_KEY = 256
_MAX_BATCH = 500
_SEPARATORS = ("\n", "\t", "\r\n", ",")


class Unfit(ValueError):
    """The action would fail on this output or these parameters; the message says why."""


def _as_is(parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    return [dump(output)]


def _kinesis(parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    """Page: kinesis-rule-action. Without a partition key each record gets a new UUID."""
    key = parameters.get("partitionKey")
    if key is None:
        key = parameters["partitionKey"] = surroundings.new_uuid()
    if not 1 <= len(str(key)) <= _MAX_PARTITION_KEY:
        raise Unfit(f"partitionKey must have 1 to {_MAX_PARTITION_KEY} characters")
    return [dump(output)]


def _firehose(parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    """Page: kinesis-firehose-rule-action. In batchMode an Array is sent as one record an element."""
    separator = parameters.get("separator", "")
    if separator and separator not in _SEPARATORS:
        raise Unfit("separator must be a newline, a tab, CR LF or a comma")
    records = output if _batch(parameters) and isinstance(output, list) else [output]
    if len(records) > _MAX_BATCH:
        raise Unfit(f"a batch has at most {_MAX_BATCH} records")
    return [dump(record) + str(separator).encode() for record in records]


def _batch(parameters: dict[str, Any]) -> bool:
    return parameters.get("batchMode") in (True, "true")


def _sqs(parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    """Page: sqs-rule-action."""
    payload = dump(output)
    return [base64.b64encode(payload) if parameters.get("useBase64") in (True, "true") else payload]


def _dynamodb_v2(parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    """Page: dynamodb-v2-rule-action: each attribute of the payload becomes a column, so it must be an Object."""
    if not isinstance(output, dict):
        raise Unfit("the payload must be a JSON object, one key a column")
    return [dump(output)]


_KINDS: dict[str, Callable[[dict[str, Any], Value, Surroundings], list[bytes]]] = {
    "dynamoDBv2": _dynamodb_v2,
    "firehose": _firehose,
    "kinesis": _kinesis,
    "sqs": _sqs,
}


def payloads(kind: str, parameters: dict[str, Any], output: Value, surroundings: Surroundings) -> list[bytes]:
    """The payloads to send, mostly one. May complete `parameters`. Raises Unfit."""
    return _KINDS.get(kind, _as_is)(parameters, output, surroundings)
