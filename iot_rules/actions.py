"""What a rule does with its output: parameters with templates, and the document of the error action.

Reference pages: iot-rule-actions and one a kind, rule-error-handling. Every string parameter but an ARN of a role is
taken as a substitution template.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.codec import dump
from contract.errors import Misconfigured
from iot_rules.sql import (
    MessageContext,
    PublishedMessage,
    Rendered,
    Renderer,
    Scope,
    Template,
    Value,
    compile_template,
    parse_template,
)

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

Fill = Callable[[Scope, list[str]], Any]
"""A parameter as a function of the scope; what went wrong with its templates is added to the list."""


@dataclass(frozen=True, slots=True)
class Action:
    """kind: as the API names it (kinesis, s3, …). parameters: a dict whose strings are Templates where they vary."""

    kind: str
    parameters: dict[str, Parameter]
    fill: Fill = field(init=False, repr=False, compare=False)
    version: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", _compiled("", self.parameters))
        object.__setattr__(self, "version", _version(self.parameters))


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


def filled(action: Action, arrival: MessageContext, variables: dict[str, Value]) -> tuple[dict[str, Any], list[str]]:
    """The parameters for one message, and what went wrong with their templates."""
    problems: list[str] = []
    parameters: dict[str, Any] = action.fill(Scope(arrival, action.version, variables), problems)
    return parameters, problems


def _compiled(key: str, value: Parameter) -> Fill:
    """A parameter made ready once: only what holds a template is worked on for each message."""
    if isinstance(value, dict):
        return _members({name: _compiled(name, below) for name, below in value.items()})
    if isinstance(value, list):
        items = [_compiled(key, below) for below in value]
        return lambda scope, problems: [item(scope, problems) for item in items]
    if isinstance(value, Template):
        return _text(key, compile_template(value))
    return lambda scope, problems: value


def _members(members: dict[str, Fill]) -> Fill:
    pairs = list(members.items())
    return lambda scope, problems: {name: fill(scope, problems) for name, fill in pairs}


def _text(key: str, render: Renderer) -> Fill:
    def fill(scope: Scope, problems: list[str]) -> str:
        rendered = render(scope)
        if rendered.failed or rendered.undefined:
            problems.extend(_problems(key, rendered))
        return rendered.text

    return fill


def _version(value: Parameter) -> str:
    """The SQL version of a parameter's templates, which is the rule's: all have the same."""
    if isinstance(value, Template):
        return value.version
    below = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((found for each in below if (found := _version(each))), "")


def _problems(key: str, rendered: Rendered) -> list[str]:
    if rendered.failed:
        return [f"{key}: {rendered.failed}"]
    return [f"{key}: ${{{expression}}} is undefined for this message" for expression in rendered.undefined]


def failure(action: Action, parameters: dict[str, Any], message: str) -> Failure:
    """One action's failure, named as AWS names it (KinesisAction)."""
    nested = [value for value in parameters.values() if isinstance(value, dict)]
    resource = next((str(each[key]) for each in [parameters, *nested] for key in _RESOURCES if key in each), "")
    return Failure(action.kind[0].upper() + action.kind[1:] + "Action", resource, message)


def error_document(rule_name: str, message: PublishedMessage, failures: Sequence[Failure]) -> bytes:
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
