"""The SAM template, whole: template.yaml, and what has its one source elsewhere.

Added are the tables (collector.stores) and their scaling (deploy/capacity.py), the IoT rules (iot_rules/documents),
alarms, dashboard and IoT's log (deploy/monitoring.py), for each function its log group and its role, and tags. The
result is JSON, which CloudFormation takes like YAML.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from contract.errors import Misconfigured
from deploy.capacity import billing, provisioned_index, scaling
from deploy.monitoring import alarms, canary_alarms, dashboard, iot_logging

SOURCE = Path(__file__).with_name("template.yaml")
Resources = dict[str, dict[str, Any]]

_PLACEHOLDERS: dict[str, Any] = {
    "<MILEPOST_RULES_ROLE_ARN>": {"Fn::GetAtt": ["RulesRole", "Arn"]},
    "<MILEPOST_RULE_ERRORS_BUCKET>": {"Ref": "Bucket"},
    "milepost-telemetry": {"Ref": "TelemetryStream"},
}
_USES_KEY = {
    "Fn::If": [
        "HasKey",
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"],
            "Resource": {"Ref": "KeyArn"},
        },
        {"Ref": "AWS::NoValue"},
    ]
}
_SSE = {
    "Fn::If": [
        "HasKey",
        {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KeyArn"}},
        {"Ref": "AWS::NoValue"},
    ]
}
_TAG = "milepost"
_TAGGED_BY_LIST = (
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::IAM::Role",
    "AWS::IoT::TopicRule",
    "AWS::Kinesis::Stream",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SecretsManager::Secret",
)
_TAGGED_BY_MAP = ("AWS::ApiGatewayV2::Api", "AWS::Serverless::Function")
_ACTION_NAMES = {"dynamoDB": "DynamoDB", "dynamoDBv2": "DynamoDBv2", "iotAnalytics": "IotAnalytics"}


def render() -> dict[str, Any]:
    """The template as JSON values."""
    template: dict[str, Any] = yaml.load(SOURCE.read_text(encoding="utf-8"), _loader())
    made: Resources = template["Resources"]
    tables = _tables()
    for name in [name for name, each in made.items() if each["Type"] == "AWS::Serverless::Function"]:
        _furnish(made, name, tables)
    functions = [
        name for name, each in made.items() if each["Type"] == "AWS::Serverless::Function" and "Condition" not in each
    ]
    rules = _rules()
    watched = alarms(functions, list(rules), list(tables))
    shared = template["Globals"]["Function"].get("MemorySize", 128)
    memory = {name: made[name]["Properties"].get("MemorySize", shared) for name in functions}
    watching = (watched, canary_alarms(), dashboard(memory, list(rules), list(tables), watched), iot_logging())
    for added in (tables, scaling(tables), rules, *watching):
        if clash := made.keys() & added.keys():
            raise Misconfigured(f"template.yaml has its own {sorted(clash)}: remove them, they are added")
        made.update(added)
    _tag(made)
    return template


def text() -> str:
    """The template's text."""
    return json.dumps(render(), indent=1, ensure_ascii=False) + "\n"


def _furnish(made: Resources, name: str, tables: Resources) -> None:
    """Give a function its log group and its role."""
    function = made[name]
    short = name.removesuffix("Function")
    allowed = [_of_tables(statement, tables) for statement in function.pop("Metadata")["Allows"]]
    log = {"Fn::GetAtt": [f"{short}Log", "Arn"]}
    common = [
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": log},
        {"Effect": "Allow", "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"},
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    where = {"Condition": function["Condition"]} if "Condition" in function else {}
    made[f"{short}Log"] = {
        "Type": "AWS::Logs::LogGroup",
        **where,
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": {"Fn::Sub": f"/milepost/${{Prefix}}/{short.lower()}"},
            "RetentionInDays": 30,
        },
    }
    statements = [*common, *allowed, _USES_KEY]
    made[f"{short}Role"] = {
        "Type": "AWS::IAM::Role",
        **where,
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
        },
    }
    properties = function["Properties"]
    properties["Role"] = {"Fn::GetAtt": [f"{short}Role", "Arn"]}
    properties["LoggingConfig"] = {"LogGroup": {"Ref": f"{short}Log"}}
    variables = properties.setdefault("Environment", {}).get("Variables", {})
    service = {"Fn::Sub": f"${{Prefix}}-{short.lower()}"}  # two stacks of an account share no metric
    properties["Environment"] = {"Variables": {**variables, "POWERTOOLS_SERVICE_NAME": service}}


def _tag(made: Resources) -> None:
    """Tell of each resource that may be tagged which installation it belongs to, for bills and for people."""
    value = {"Ref": "Prefix"}
    for each in made.values():
        properties = each["Properties"]
        if each["Type"] in _TAGGED_BY_LIST:
            properties["Tags"] = [{"Key": _TAG, "Value": value}]
        elif each["Type"] in _TAGGED_BY_MAP:
            properties["Tags"] = {_TAG: value}


def _of_tables(statement: dict[str, Any], tables: Resources) -> dict[str, Any]:
    """`Resource: {Tables: […]}` means the ARNs of these tables, and of their indexes for who may ask those."""
    resource = statement["Resource"]
    if not isinstance(resource, dict) or "Tables" not in resource:
        return statement
    arns: list[Any] = []
    for name in resource["Tables"]:
        logical = _logical(name)
        if logical not in tables:
            raise Misconfigured(f"template.yaml allows a table {name!r} that the store does not have")
        arns.append({"Fn::GetAtt": [logical, "Arn"]})
        if "GlobalSecondaryIndexes" in tables[logical]["Properties"] and "dynamodb:Query" in statement["Action"]:
            arns.append({"Fn::Sub": f"${{{logical}.Arn}}/index/*"})
    return {**statement, "Resource": arns}


def _logical(table: str) -> str:
    return "".join(part.capitalize() for part in table.split("_")) + "Table"


def _tables() -> Resources:
    """The tables as the store defines them: CreateTable's parameters are CloudFormation's properties."""
    from collector.stores.dynamodb.tables import TABLES

    made: Resources = {}
    for table in TABLES:
        # The samples are in the archive, too; what is made of them, and clicks, can be put back to any minute.
        properties = {
            **table.definition("${Prefix}"),
            **billing(),
            "SSESpecification": _SSE,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": table.name != "samples"},
        }
        properties["TableName"] = {"Fn::Sub": properties["TableName"]}
        if table.by_day:
            properties["GlobalSecondaryIndexes"] = [
                provisioned_index(index) for index in properties["GlobalSecondaryIndexes"]
            ]
        if table.streams:  # costs nothing until somebody reads it, and writing does not wait for it
            properties["StreamSpecification"] = {"StreamViewType": "NEW_IMAGE"}
        if table.ttl:
            properties["TimeToLiveSpecification"] = {"AttributeName": table.ttl, "Enabled": True}
        made[_logical(table.name)] = {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties | {"DeletionProtectionEnabled": {"Ref": "DeletionProtection"}},
        }
    return made


def _rules() -> Resources:
    """AWS::IoT::TopicRule of each document: CreateTopicRule's parameters with a capital at the front."""
    made: Resources = {}
    for file in sorted((resources.files("iot_rules") / "documents").iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".json"):
            continue
        document = json.loads(file.read_text("utf-8"))
        name = document["ruleName"]
        short = name.partition("_")[2]
        logical = "".join(part.capitalize() for part in short.split("_")) + "Rule"
        made[logical] = {
            "Type": "AWS::IoT::TopicRule",
            "Properties": {
                "RuleName": {"Fn::Sub": f"${{RulePrefix}}_{short}"},
                "TopicRulePayload": _capitals(document["topicRulePayload"]),
            },
        }
    return made


def _capitals(value: Any) -> Any:
    if isinstance(value, dict):
        return {_ACTION_NAMES.get(key, key[0].upper() + key[1:]): _capitals(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_capitals(below) for below in value]
    return _PLACEHOLDERS.get(value, value) if isinstance(value, str) else value


def _loader() -> Any:
    """YAML with CloudFormation's short tags."""
    loader: Any = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", _tagged)
    return loader


def _tagged(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}
