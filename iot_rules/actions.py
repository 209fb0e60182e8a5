"""What a rule does with its output: parameters with templates, and the document of the error action.

Reference pages: iot-rule-actions and one a kind, rule-error-handling. Every string parameter but an ARN of a role is
taken as a substitution template.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contract.codec import dump
from contract.errors import Misconfigured
from iot_rules.sql import Arrival, Message, Rendered, Template, Value, parse_template, render

KINDS = frozenset((
    "cloudwatchAlarm", "cloudwatchLogs", "cloudwatchMetric", "dynamoDB", "dynamoDBv2", "elasticsearch", "firehose",
    "http", "influxDB", "iotAnalytics", "iotEvents", "iotSiteWise", "kafka", "kinesis", "lambda", "location",
    "openSearch", "republish", "s3", "salesforce", "sns", "sqs", "stepFunctions", "timestream",
))  # fmt: skip
_RESOURCES = (
    "streamName", "deliveryStreamName", "bucketName", "queueUrl", "tableName", "functionArn", "topic", "targetArn",
    "stateMachineName", "url", "logGroupName", "metricName",
)  # fmt: skip
_NO_TEMPLATES = frozenset(("roleArn",))

Parameter = Any
"""A parameter made ready: a dict, a list, a Template, or a plain value."""


@dataclass(frozen=True, slots=True)
class Action:
    """kind: as the API names it (kinesis, s3, …). parameters: a dict whose strings are Templates where they vary."""

    kind: str
    parameters: dict[str, Parameter]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed action, as the error document lists it."""

    action: str
    resource: str
    message: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an action would send: one record.

    parameters: templates filled. error: it is the rule's error action, else index says which action it is.
    """

    rule_name: str
    action_type: str
    parameters: dict[str, Any]
    payload: bytes
    error: bool = False
    index: int = 0


def read_action(document: object, version: str, variables: frozenset[str]) -> Action:
    """One element of `actions`, or `errorAction`: an object with one key, the kind. Raises Misconfigured."""
    if not isinstance(document, dict) or len(document) != 1:
        raise Misconfigured("an action is an object with one key, its kind: write one object an action")
    kind, parameters = next(iter(document.items()))
    if kind not in KINDS or not isinstance(parameters, dict):
        raise Misconfigured(f"AWS IoT has no action {kind!r}: see the rule actions in its reference")
    return Action(kind, {key: _prepared(key, value, version, variables) for key, value in parameters.items()})


def _prepared(key: str, value: object, version: str, variables: frozenset[str]) -> Parameter:
    if isinstance(value, dict):
        return {name: _prepared(name, below, version, variables) for name, below in value.items()}
    if isinstance(value, list):
        return [_prepared(key, below, version, variables) for below in value]
    if isinstance(value, str) and "$" in value and key not in _NO_TEMPLATES:
        return parse_template(value, version, variables)
    return value


def filled(action: Action, arrival: Arrival, variables: dict[str, Value]) -> tuple[dict[str, Any], list[str]]:
    """The parameters for one message, and what went wrong with their templates."""
    problems: list[str] = []

    def fill(key: str, value: Parameter) -> Any:
        if isinstance(value, dict):
            return {name: fill(name, below) for name, below in value.items()}
        if isinstance(value, list):
            return [fill(key, below) for below in value]
        if not isinstance(value, Template):
            return value
        rendered = render(value, arrival, variables)
        problems.extend(_problems(key, rendered))
        return rendered.text

    return {key: fill(key, value) for key, value in action.parameters.items()}, problems


def _problems(key: str, rendered: Rendered) -> list[str]:
    if rendered.failed:
        return [f"{key}: {rendered.failed}"]
    return [f"{key}: ${{{expression}}} is undefined for this message" for expression in rendered.undefined]


def failure(action: Action, parameters: dict[str, Any], message: str) -> Failure:
    """One action's failure, named as AWS names it (KinesisAction)."""
    nested = [value for value in parameters.values() if isinstance(value, dict)]
    resource = next((str(each[key]) for each in [parameters, *nested] for key in _RESOURCES if key in each), "")
    return Failure(action.kind[0].upper() + action.kind[1:] + "Action", resource, message)


def error_document(rule_name: str, message: Message, failures: Sequence[Failure]) -> bytes:
    """The one message that the error action gets for a message, whatever number of actions failed."""
    document = {
        "ruleName": rule_name,
        "topic": message.topic,
        "cloudwatchTraceId": message.trace_id or "",
        "clientId": "N/A" if message.client_id is None else message.client_id,
        "base64OriginalPayload": base64.b64encode(message.payload).decode("ascii"),
        "failures": [
            {"failedAction": each.action, "failedResource": each.resource, "errorMessage": each.message}
            for each in failures
        ],
    }
    return dump(document).encode("utf-8", "replace")
