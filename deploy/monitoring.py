"""Alarms, dashboard, IoT's log: what an operator must know, for every function, rule and table of the template."""

import json
from typing import Any

from iot_rules.prices import GB, prices

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
            "Milepost", "Rejected", _service(service),
        )  # fmt: skip
        made[f"{name}Failing"] = _alarm(
            f"{name}: records could not be written for 15 minutes and come again; see its log group.",
            "Milepost", "Failed", _service(service), periods=3,
        )  # fmt: skip
    made["RepairFunctionFailing"] = _alarm(
        "RepairFunction: trucks could not be asked for missing samples for 15 minutes; see its log group.",
        "Milepost", "Failed", _service("repair"), periods=3,
    )  # fmt: skip
    made["SamplesLost"] = _alarm(
        "Samples were asked for five times without an answer: `milepost audit` names them.",
        "Milepost", "Lost", _service("repair"), statistic="Maximum",
    )  # fmt: skip
    made["SamplesMissing"] = _alarm(
        "Samples have been missing for six hours and are not announced as pending: `milepost audit` names them.",
        "Milepost", "Missing", _service("repair"), statistic="Minimum", periods=72,
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
    made["BeaconFailing"] = _beacon_failing()
    made["FleetSilent"] = _fleet_silent()
    for archive in ("TelemetryArchive", "ClicksArchive"):
        made[f"{archive}Stale"] = _alarm(
            f"{archive}: nothing reached S3 for two hours.", "AWS/Firehose", "DeliveryToS3.DataFreshness",
            {"DeliveryStreamName": {"Ref": archive}}, statistic="Maximum", over=7200,
        )  # fmt: skip
    return made


def canary_alarms() -> Resources:
    """What rings where the canary is on: that its samples do not come to history, or that it does not run."""
    made = {
        "CanaryLate": _alarm(
            "A sample that was sent as trucks send theirs is not in history after 15 minutes; follow it: rule, stream,"
            " function, table.",
            "Milepost", "CanaryAge", _service("canary"), statistic="Minimum", over=900_000,
            periods=3, silence_rings=True,
        ),
        "CanaryFunctionErrors": _alarm(
            "CanaryFunction: it raised errors for 15 minutes; see its log group.",
            "AWS/Lambda", "Errors", {"FunctionName": {"Ref": "CanaryFunction"}}, periods=3,
        ),
    }  # fmt: skip
    return {name: {**each, "Condition": "HasCanary"} for name, each in made.items()}


def _beacon_failing() -> dict[str, Any]:
    """By the metric of what stands before the beacon."""
    by_api = _alarm(
        "The beacon answered 5xx; browsers keep their events and send them again.",
        "AWS/ApiGateway", "5xx", {"ApiId": {"Ref": "BeaconApi"}},
    )  # fmt: skip
    by_url = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Url5xxCount",
        "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "BeaconFunction"}}],
    }
    either = {name: {"Fn::If": ["HasApi", by_api["Properties"][name], said]} for name, said in by_url.items()}
    return {**by_api, "Properties": {**by_api["Properties"], **either}}


_CANARY_AN_HOUR = 13  # one every five minutes, and one more where the hour's edge falls so


def _fleet_silent() -> dict[str, Any]:
    """By the records of the stream; where the canary is on, by those above its own. One truck sends 60 an hour.

    A metric less another one would say it without a bound, but the local stack knows no metric math.
    """
    alarm = _alarm(
        "No truck has sent anything for an hour; look at the rules' alarms, then at IoT Core's connections.",
        "AWS/Kinesis", "IncomingRecords", {"StreamName": {"Ref": "TelemetryStream"}}, below=1,
    )  # fmt: skip
    alarm["Properties"] |= {"Period": 3600, "Threshold": {"Fn::If": ["HasCanary", _CANARY_AN_HOUR + 1, 1]}}
    return alarm


def _service(name: str) -> dict[str, Any]:
    """The dimension of a function's own metrics."""
    return {"service": {"Fn::Sub": f"${{Prefix}}-{name}"}}


def _alarm(  # noqa: PLR0913 - the properties of one resource
    description: str,
    namespace: str,
    metric: str,
    dimensions: dict[str, Any],
    *,
    statistic: str = "Sum",
    over: float = 0,
    below: float | None = None,
    periods: int = 1,
    silence_rings: bool = False,
) -> dict[str, Any]:
    """over: it rings above that; below: under that, and where nothing is measured (others so by `silence_rings`)."""
    silent = silence_rings or below is not None
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
            "Threshold": over if below is None else below,
            "ComparisonOperator": "GreaterThanThreshold" if below is None else "LessThanThreshold",
            "TreatMissingData": "breaching" if silent else "notBreaching",
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


def dashboard(functions: dict[str, int], rules: list[str], tables: list[str], watched: Resources) -> Resources:
    """One dashboard: every alarm, what came in, what became of it, how late, and what it cost so far.

    Args:
        functions: logical id → MB of memory. rules, tables: logical ids.
        watched: the alarms, by logical id.
    """
    names = [f"${{{name}}}" for name in functions]
    streaming = [f"${{Prefix}}-{kind}" for kind in ("telemetry", "clicks")]
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
        _widget("Cold starts", [["Milepost", "ColdStart", "function_name", name, "service", "${Prefix}-" + short]
                                for name, short in zip(names, map(_short, functions), strict=True)]),
        _widget("Requests to trucks for missing samples", [["Milepost", "Asks", "service", "${Prefix}-repair"]]),
        _widget("Samples missing and lost (maximum)",
                [["Milepost", name, "service", "${Prefix}-repair"] for name in ("Missing", "Lost")], "Maximum"),
        _widget("Write units of tables",
                [["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", f"${{{name}}}"] for name in tables]),
        _widget("Age of what Firehose holds, s (maximum)",
                [["AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", f"${{{name}}}"]
                 for name in ("TelemetryArchive", "ClicksArchive")], "Maximum"),
        _widget("The beacon's answers",
                [["Milepost", f"Status{k}xx", "service", "${Prefix}-beacon"] for k in (2, 4, 5)]),
    ]  # fmt: skip
    top = _state_of(watched) | {"x": 0, "y": 0, "width": 24, "height": 4}
    dear = _cost_so_far(functions, rules, tables) | {"x": 0, "y": 4, "width": 24, "height": 4}
    for index, widget in enumerate(widgets):
        widget.update({"x": 12 * (index % 2), "y": 8 + 6 * (index // 2), "width": 12, "height": 6})
    below = 8 + 6 * ((len(widgets) + 1) // 2)
    each = [
        _of_alarm(name, alarm) | {"x": 6 * (index % 4), "y": below + 4 * (index // 4), "width": 6, "height": 4}
        for index, (name, alarm) in enumerate(watched.items())
    ]
    body = json.dumps({"widgets": [top, dear, *widgets, *each]})
    return {
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": {"Fn::Sub": "${Prefix}"}, "DashboardBody": {"Fn::Sub": body}},
        }
    }


def _state_of(watched: Resources) -> dict[str, Any]:
    """Which alarms ring now."""
    return {"type": "alarm", "properties": {"title": "Alarms", "alarms": [f"${{{name}.Arn}}" for name in watched]}}


def _of_alarm(name: str, alarm: dict[str, Any]) -> dict[str, Any]:
    """The metric of one alarm with its threshold."""
    title = f"{name}: {alarm['Properties']['AlarmDescription'].partition(';')[0]}"
    properties = {"title": title, "region": _REGION, "annotations": {"alarms": [f"${{{name}.Arn}}"]}}
    return {"type": "metric", "properties": {**properties, "view": "timeSeries", "stacked": False}}


def _cost_so_far(functions: dict[str, int], rules: list[str], tables: list[str]) -> dict[str, Any]:
    """Usage of the time range × list prices: an estimate, which leaves out what has no metric of its own."""
    price = prices()
    lines: list[Any] = []
    services: list[tuple[str, list[str]]] = []

    def priced(service: str, metrics: list[list[str]], dollars: float) -> None:
        """Add hidden metrics whose sum costs so much per unit."""
        ids = [f"m{len(lines) + n}" for n in range(len(metrics))]
        lines.extend([*metric, {"id": id_, "visible": False}] for metric, id_ in zip(metrics, ids, strict=True))
        term = f"SUM([{', '.join(f'FILL({id_}, 0)' for id_ in ids)}]) * {dollars:.12f}"
        same = next((terms for name, terms in services if name == service), None)
        if same is None:
            services.append((service, [term]))
        else:
            same.append(term)

    for name, memory in functions.items():
        called = ["AWS/Lambda", "Invocations", "FunctionName", f"${{{name}}}"]
        priced("Lambda", [called], price["lambda_request"])
        worked = ["AWS/Lambda", "Duration", "FunctionName", f"${{{name}}}"]
        priced("Lambda", [worked], price["lambda_gb_second_arm64"] * memory / 1024 / 1000)
    for verb in ("Write", "Read"):
        metrics = [["AWS/DynamoDB", f"Consumed{verb}CapacityUnits", "TableName", f"${{{name}}}"] for name in tables]
        priced("DynamoDB", metrics, price[f"dynamodb_{verb.lower()}_unit"])
    records = [["AWS/Kinesis", "IncomingRecords", "StreamName", stream] for stream in _STREAMS]
    priced("Kinesis", records, price["kinesis_put_unit_25kb"])
    done = [["AWS/IoT", "Success", "RuleName", f"${{{name}}}", "ActionType", "Kinesis"] for name in rules]
    priced("IoT rules", done, price["iot_rule_triggered"] + price["iot_action"])
    names = ("TelemetryArchive", "ClicksArchive")
    archived = [["AWS/Firehose", "IncomingBytes", "DeliveryStreamName", f"${{{name}}}"] for name in names]
    priced("Firehose", archived, price["firehose_gb"] / GB)
    shown = [
        {"expression": " + ".join(terms), "label": service, "id": f"e{number}"}
        for number, (service, terms) in enumerate(services)
    ]
    total = {"expression": "SUM([" + ", ".join(each["id"] for each in shown) + "])", "label": "Total", "id": "total"}
    title = (
        f"Cost so far, an estimate in {price['currency']}: usage of the period shown × list prices of {price['as_of']},"
        f" {price['region']}; without shard hours, storage, logs, alarms and connections"
    )
    properties = {
        "title": title, "region": _REGION, "stat": "Sum", "view": "singleValue", "setPeriodToTimeRange": True,
        "metrics": [*lines, *([each] for each in [*shown, total])],
    }  # fmt: skip
    return {"type": "metric", "properties": properties}


def _short(function: str) -> str:
    return function.removesuffix("Function").lower()


def _widget(title: str, metrics: list[list[str]], statistic: str = "Sum") -> dict[str, Any]:
    properties = {"title": title, "region": _REGION, "stat": statistic, "period": 300, "metrics": metrics}
    return {"type": "metric", "properties": properties}
