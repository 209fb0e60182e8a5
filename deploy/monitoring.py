"""Alarms, dashboard, IoT's log: what an operator must know, for every function, rule and table of the template."""

import json
from typing import Any

Resources = dict[str, dict[str, Any]]
_REGION = "${AWS::Region}"
_STREAMS = ("${TelemetryStream}", "${ClicksStream}")


def alarms(functions: list[str], rules: list[str], tables: list[str]) -> Resources:
    """Alarm resources. functions, rules, tables: logical ids."""
    made: Resources = {}
    for name in functions:
        made[f"{name}Errors"] = _alarm(
            f"{name}: it raised errors for 15 minutes; see its log group.",
            "AWS/Lambda", "Errors", {"FunctionName": {"Ref": name}}, periods=3,
        )  # fmt: skip
        made[f"{name}Throttled"] = _alarm(
            f"{name}: calls were refused for 15 minutes; raise the account's or the function's concurrency.",
            "AWS/Lambda", "Throttles", {"FunctionName": {"Ref": name}}, periods=3,
        )  # fmt: skip
    for name in ("TelemetryFunction", "ClicksFunction"):
        made[f"{name}Behind"] = _alarm(
            f"{name}: an hour behind its stream; records are kept 7 days.",
            "AWS/Lambda", "IteratorAge", {"FunctionName": {"Ref": name}}, statistic="Maximum", over=3_600_000,
        )  # fmt: skip
        service = name.removesuffix("Function").lower()
        made[f"{name}Rejected"] = _alarm(
            f"{name}: records were refused; `milepost dead-letters list` tells why.",
            "Milepost", "Rejected", {"service": f"milepost-{service}"},
        )  # fmt: skip
        made[f"{name}Failing"] = _alarm(
            f"{name}: records could not be written for 15 minutes and come again; see its log group.",
            "Milepost", "Failed", {"service": f"milepost-{service}"}, periods=3,
        )  # fmt: skip
    made["RepairFunctionFailing"] = _alarm(
        "RepairFunction: trucks could not be asked for missing samples for 15 minutes; see its log group.",
        "Milepost", "Failed", {"service": "milepost-repair"}, periods=3,
    )  # fmt: skip
    made["SamplesLost"] = _alarm(
        "Samples were asked for five times without an answer: `milepost audit` names them.",
        "Milepost", "Lost", {"service": "milepost-repair"}, statistic="Maximum",
    )  # fmt: skip
    made["SamplesMissing"] = _alarm(
        "Samples have been missing for six hours and are not announced as pending: `milepost audit` names them.",
        "Milepost", "Missing", {"service": "milepost-repair"}, statistic="Minimum", periods=72,
    )  # fmt: skip
    for stream in ("TelemetryStream", "ClicksStream"):
        made[f"{stream}Full"] = _alarm(
            f"{stream}: writes were throttled; give it more shards.",
            "AWS/Kinesis", "WriteProvisionedThroughputExceeded", {"StreamName": {"Ref": stream}}, periods=3,
        )  # fmt: skip
    for rule in rules:
        made[f"{rule}Failed"] = _alarm(
            f"{rule}: messages went to rule-errors/ in the bucket; gap repair asks for them again.",
            "AWS/IoT", "Failure", {"RuleName": {"Ref": rule}, "ActionType": "Kinesis"},
        )  # fmt: skip
    for table in tables:
        made[f"{table}Throttled"] = _alarm(
            f"{table}: writes were throttled for 15 minutes; handlers try again meanwhile.",
            "AWS/DynamoDB", "WriteThrottleEvents", {"TableName": {"Ref": table}}, periods=3,
        )  # fmt: skip
    for table in ("TrucksTable", "SamplesTable"):  # those that every batch reads
        made[f"{table}ReadsThrottled"] = _alarm(
            f"{table}: reads were throttled for 15 minutes; handlers try again meanwhile.",
            "AWS/DynamoDB", "ReadThrottleEvents", {"TableName": {"Ref": table}}, periods=3,
        )  # fmt: skip
    made["BeaconFailing"] = _alarm(
        "The beacon answered 5xx; browsers keep their events and send them again.",
        "AWS/Lambda", "Url5xxCount", {"FunctionName": {"Ref": "BeaconFunction"}},
    )  # fmt: skip
    for archive in ("TelemetryArchive", "ClicksArchive"):
        made[f"{archive}Stale"] = _alarm(
            f"{archive}: nothing reached S3 for two hours.", "AWS/Firehose", "DeliveryToS3.DataFreshness",
            {"DeliveryStreamName": {"Ref": archive}}, statistic="Maximum", over=7200,
        )  # fmt: skip
    return made


def _alarm(  # noqa: PLR0913 - the properties of one resource
    description: str,
    namespace: str,
    metric: str,
    dimensions: dict[str, Any],
    *,
    statistic: str = "Sum",
    over: float = 0,
    periods: int = 1,
) -> dict[str, Any]:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": statistic,
            "Period": 300,
            "EvaluationPeriods": periods,
            "Threshold": over,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [{"Ref": "AlarmTopic"}],
            "OKActions": [{"Ref": "AlarmTopic"}],
        },
    }


def iot_logging() -> Resources:
    """What IoT Core logs, where IotLogLevel asks for it: refused connections and publishes, failed rules."""
    group = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:AWSIotLogsV2:*"
    verbs = ("CreateLogGroup", "CreateLogStream", "PutLogEvents", "PutMetricFilter", "PutRetentionPolicy")
    allowed = {"Effect": "Allow", "Action": [f"logs:{verb}" for verb in verbs], "Resource": {"Fn::Sub": group}}
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "IotLogRole": {
            "Type": "AWS::IAM::Role",
            "Condition": "LogsIot",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                "Policies": [
                    {"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allowed]}}
                ],
            },
        },
        "IotLogging": {
            "Type": "AWS::IoT::Logging",
            "Condition": "LogsIot",
            "Properties": {
                "AccountId": {"Ref": "AWS::AccountId"},
                "DefaultLogLevel": {"Ref": "IotLogLevel"},
                "RoleArn": {"Fn::GetAtt": ["IotLogRole", "Arn"]},
            },
        },
    }


def dashboard(functions: list[str], tables: list[str]) -> Resources:
    """One dashboard: what came in, what became of it, how late, how dear."""
    names = [f"${{{name}}}" for name in functions]
    streaming = [f"milepost-{kind}" for kind in ("telemetry", "clicks")]
    outcomes = ("Accepted", "Duplicate", "Rejected", "Failed")
    widgets = [
        _widget("Messages into the streams", [["AWS/Kinesis", "IncomingRecords", "StreamName", s] for s in _STREAMS]),
        _widget("What became of them", [["Milepost", o, "service", s] for s in streaming for o in outcomes]),
        _widget(
            "Behind the streams, ms (maximum)",
            [["AWS/Lambda", "IteratorAge", "FunctionName", f"${{{n}Function}}"] for n in ("Telemetry", "Clicks")],
            "Maximum",
        ),
        _widget("Errors of functions", [["AWS/Lambda", "Errors", "FunctionName", name] for name in names]),
        _widget("Time of functions, ms", [["AWS/Lambda", "Duration", "FunctionName", name] for name in names], "p90"),
        _widget("Cold starts", [["Milepost", "ColdStart", "function_name", name, "service", "milepost-" + short]
                                for name, short in zip(names, map(_short, functions), strict=True)]),
        _widget("Requests to trucks for missing samples", [["Milepost", "Asks", "service", "milepost-repair"]]),
        _widget("Samples missing and lost (maximum)",
                [["Milepost", name, "service", "milepost-repair"] for name in ("Missing", "Lost")], "Maximum"),
        _widget("Write units of tables",
                [["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", f"${{{name}}}"] for name in tables]),
        _widget("Age of what Firehose holds, s (maximum)",
                [["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", f"${{{name}}}"]
                 for name in ("TelemetryArchive", "ClicksArchive")], "Maximum"),
        _widget("The beacon's answers",
                [["Milepost", f"Status{k}xx", "service", "milepost-beacon"] for k in (2, 4, 5)]),
    ]  # fmt: skip
    for index, widget in enumerate(widgets):
        widget.update({"x": 12 * (index % 2), "y": 6 * (index // 2), "width": 12, "height": 6})
    body = json.dumps({"widgets": widgets})
    return {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": {"Fn::Sub": "${Prefix}"}, "DashboardBody": {"Fn::Sub": body}},
        }
    }


def _short(function: str) -> str:
    return function.removesuffix("Function").lower()


def _widget(title: str, metrics: list[list[str]], statistic: str = "Sum") -> dict[str, Any]:
    properties = {"title": title, "region": _REGION, "stat": statistic, "period": 300, "metrics": metrics}
    return {"type": "metric", "properties": properties}
