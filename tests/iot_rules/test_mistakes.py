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
