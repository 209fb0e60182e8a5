"""Mistakes that people make in rule documents, each with the finding that it gets; honest documents get none."""

import json
from pathlib import Path
from typing import Any

import pytest

from iot_rules.action_schemas import kinds
from iot_rules.lint import check_document, check_documents

MISTAKES = [
    json.loads(line) for line in (Path(__file__).parent / "mistakes.jsonl").read_text("utf-8").splitlines() if line
]
ROLE = "arn:aws:iam::123456789012:role/rules"
ERRORS = {"s3": {"roleArn": ROLE, "bucketName": "b", "key": "errors/${newuuid()}"}}


def document(sql: str, *actions: dict[str, Any], name: str = "r") -> dict[str, Any]:
    body = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": list(actions), "errorAction": ERRORS}
    return {"ruleName": name, "topicRulePayload": body}


def republish(topic: str) -> dict[str, Any]:
    return {"republish": {"roleArn": ROLE, "topic": topic}}


def test_there_are_fifty_and_more() -> None:
    assert len({each["mistake"] for each in MISTAKES}) == len(MISTAKES) >= 50


@pytest.mark.parametrize("each", MISTAKES, ids=lambda each: each["mistake"])
def test_a_mistake_gets_its_finding_and_a_remedy(each: dict[str, Any]) -> None:
    findings = check_document(each["document"], "r")
    assert each["finding"] in [finding.code for finding in findings], findings
    assert all(finding.remedy and finding.message for finding in findings)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '$aws/events/presence/connected/+'",
        "SELECT state.reported.speed AS v, topic(3) AS thing FROM '$aws/things/+/shadow/update/accepted'",
        "SELECT * FROM '$aws/events/subscriptions/#'",
        "SELECT truck_id, seq FROM 'fleet/+/telemetry' WHERE vehicle_speed > 80 AND time_quality <> 'estimated'",
        "SELECT gps_location.latitude AS a FROM 'fleet/+/telemetry'",
        "SELECT vehicle_health_and_maintenance.tire_pressure.front_left AS b FROM 'fleet/+/telemetry'",
        "SELECT stream_id, pending FROM 'fleet/+/report' WHERE closed = false",
        "SELECT state, at FROM 'fleet/+/status' WHERE state = 'lost'",
        "SELECT records FROM 'fleet/+/telemetry/batch'",
        "SELECT * FROM 'fleet/+/telemetry' WHERE nanvl(vehicle_speed, 0) > 80 OR seq = 1",
        "SELECT parse_time('yyyy-MM-dd HH:mm:ss', timestamp()) AS day FROM 'fleet/+/telemetry'",
        "SELECT topic(3) AS kind FROM 'fleet/#'",
    ],
)
def test_an_honest_statement_gets_no_finding(sql: str) -> None:
    action = {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": "${topic(2)}"}}
    assert check_document(document(sql, action), "r") == []


IAM = {"roleArn": ROLE}
KEY = "${topic(2)}-${newuuid()}"
URL, STORE = "https://search.eu-west-1.es.amazonaws.com", {"databaseName": "d", "tableName": "t"}
DESTINATION = {"destinationArn": "arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x"}
DOCUMENT = {"endpoint": URL, "index": "i", "type": "_doc", "id": KEY}
POINT = {"value": {"doubleValue": "${vehicle_speed}"}, "timestamp": {"timeInSeconds": "${timestamp() / 1000}"}}
LEAST: dict[str, dict[str, Any]] = {
    "cloudwatchAlarm": {**IAM, "alarmName": "a", "stateReason": "r", "stateValue": "ALARM"},
    "cloudwatchLogs": {**IAM, "logGroupName": "g"},
    "cloudwatchMetric": {
        **IAM, "metricNamespace": "n", "metricName": "m", "metricValue": "${vehicle_speed}", "metricUnit": "None"
    },
    "dynamoDB": {**IAM, "tableName": "t", "hashKeyField": "id", "hashKeyValue": KEY},
    "dynamoDBv2": {**IAM, "putItem": {"tableName": "t"}},
    "elasticsearch": {**IAM, **DOCUMENT},
    "firehose": {**IAM, "deliveryStreamName": "d"},
    "http": {"url": "https://example.com/in"},
    "influxDB": {**IAM, **DESTINATION, **STORE},
    "iotAnalytics": {},
    "iotEvents": {**IAM, "inputName": "i"},
    "iotSiteWise": {**IAM, "putAssetPropertyValueEntries": [{"propertyAlias": "/a", "propertyValues": [POINT]}]},
    "kafka": {**DESTINATION, "topic": "t", "clientProperties": {"bootstrap.servers": "b:9092"}},
    "kinesis": {**IAM, "streamName": "s"},
    "lambda": {"functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f"},
    "location": {**IAM, "trackerName": "t", "deviceId": "${topic(2)}", "latitude": "${gps_location.latitude}",
                 "longitude": "${gps_location.longitude}"},
    "openSearch": {**IAM, **DOCUMENT},
    "republish": {**IAM, "topic": "elsewhere/${topic(2)}"},
    "s3": {**IAM, "bucketName": "b", "key": KEY},
    "salesforce": {"token": "t", "url": "https://ingestion-x.sfdcnow.com/streams/s/event"},
    "sns": {**IAM, "targetArn": "arn:aws:sns:eu-west-1:123456789012:t"},
    "sqs": {**IAM, "queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/q"},
    "stepFunctions": {**IAM, "stateMachineName": "m"},
    "timestream": {**IAM, **STORE, "dimensions": [{"name": "truck", "value": "${topic(2)}"}]},
}  # fmt: skip
ADVICE = {"kinesis": ["partition-key"], "firehose": ["separator"]}


def test_the_table_of_actions_has_all_that_aws_has() -> None:
    assert LEAST.keys() == kinds()


@pytest.mark.parametrize("kind", sorted(LEAST))
def test_an_action_with_what_it_requires_is_no_error(kind: str) -> None:
    """Alone and as the error action. Two are advised, by a warning, to set what AWS does not require."""
    sql = "SELECT * FROM 'fleet/+/telemetry'"
    found = check_document(document(sql, {kind: LEAST[kind]}), "r")
    assert [(each.code, each.level) for each in found] == [(code, "warning") for code in ADVICE.get(kind, [])]
    fallback = document(sql, {"s3": LEAST["s3"]})
    fallback["topicRulePayload"]["errorAction"] = {kind: LEAST[kind]}
    assert [each for each in check_document(fallback, "r") if each.level == "error"] == []


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("SELECT * FROM 'fleet/+/telemetry' WHERE vehicle_speed > 80 OR fuel_consumption > 50", 1),
        ("SELECT * FROM 'fleet/+/telemetry' WHERE vehicle_speed > 80 AND fuel_consumption > 50", 0),
        ("SELECT * FROM 'fleet/+/telemetry' WHERE NOT (vehicle_speed > 80 AND fuel_consumption > 50)", 1),
        ("SELECT * FROM 'fleet/+/telemetry' WHERE NOT (vehicle_speed > 80 OR fuel_consumption > 50)", 0),
        ("SELECT vehicle_speed > 80 OR seq = 1 AS a FROM 'fleet/+/telemetry'", 1),
        ("SELECT vehicle_speed > 80 AND seq = 1 AS a FROM 'fleet/+/telemetry'", 1),
        ("SELECT NOT (vehicle_speed > 80 AND seq = 1) AS a FROM 'fleet/+/telemetry'", 1),
        ("SELECT seq > 80 AND seq < 99 AS a FROM 'fleet/+/telemetry'", 0),
        ("SET @a = vehicle_speed > 80 OR seq = 1 SELECT @a AS a FROM 'fleet/+/telemetry'", 1),
        ("SET @a = vehicle_speed SELECT seq FROM 'fleet/+/telemetry' WHERE @a > 80 OR seq = 1", 1),
        ("SET @a = nanvl(vehicle_speed, 0) SELECT seq FROM 'fleet/+/telemetry' WHERE @a > 80 OR seq = 1", 0),
        ("SELECT seq FROM 'fleet/+/telemetry' WHERE nanvl(vehicle_speed > 80 AND seq = 1, false)", 1),
        ("SELECT seq FROM 'fleet/+/telemetry' WHERE (vehicle_speed > 80 AND seq = 1) = true", 1),
        ("SELECT CASE vehicle_speed > 80 AND seq = 1 WHEN true THEN 1 ELSE 0 END AS a FROM 'fleet/+/telemetry'", 1),
        ("SELECT (SELECT seq FROM records WHERE vehicle_speed > 80 OR seq = 1) AS a FROM 'fleet/+/telemetry/batch'", 1),
        ("SELECT (SELECT vehicle_speed > 8 AND seq = 1 AS b FROM records) AS a FROM 'fleet/+/telemetry/batch'", 1),
        ("SELECT (SELECT seq FROM records WHERE fuel > 80 AND seq = 1) AS a FROM 'fleet/+/telemetry/batch'", 0),
        ("SELECT [vehicle_speed > 80 AND seq = 1, {'b': vehicle_speed > 80 OR seq = 1}] AS a FROM 'fleet/+/telemetry'",
         2),
        ("SELECT * FROM 'fleet/+/telemetry' WHERE vehicle_speed > 80 OR fuel_consumption > 50 OR odometer_reading > 1",
         1),
    ],
)  # fmt: skip
def test_an_and_or_or_whose_outcome_aws_documents_in_two_ways_is_named_wherever_it_stands(sql: str, count: int) -> None:
    action = {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": "${topic(2)}"}}
    found = check_document(document(sql, action), "r")
    assert [(each.code, each.level) for each in found] == [("undefined-operand", "warning")] * count


def test_a_template_is_such_a_place_too() -> None:
    key = "${topic(2)}/${vehicle_speed > 80 AND seq = 1}"
    action = {"kinesis": {"roleArn": ROLE, "streamName": "s", "partitionKey": key}}
    found = check_document(document("SELECT * FROM 'fleet/+/telemetry'", action), "r")
    assert [each.code for each in found] == ["undefined-operand"]
    assert found[0].message.startswith("in a template: ")


def test_every_action_that_aws_has_is_known_with_its_parameters() -> None:
    """None is called unknown; what is missing is named."""
    assert len(kinds()) > 20
    for kind in kinds():
        said = " ".join(
            f.message for f in check_document(document("SELECT * FROM 'fleet/+/telemetry'", {kind: {}}), "r")
        )
        assert "has no action" not in said
        assert ("is required" in said) is (kind != "iotAnalytics")  # the one without a required parameter


def test_two_rules_that_feed_each_other_are_a_loop() -> None:
    there = document("SELECT * FROM 'fleet/+/telemetry'", republish("fleet/${topic(2)}/status"), name="there")
    back = document("SELECT * FROM 'fleet/+/status'", republish("fleet/${topic(2)}/telemetry"), name="back")
    found = [each for each in check_documents([("there", there), ("back", back)]) if each.code == "loop"]
    assert [each.rule for each in found] == ["back"]
    assert "back → there → back" in found[0].message
    assert "loop" not in [each.code for each in check_documents([("there", there)])]
