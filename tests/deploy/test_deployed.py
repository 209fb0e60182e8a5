"""The template as deployed by CloudFormation to ministack, IAM enforced: samples and clicks go through it to queries.

One hop is ours: ministack accepts a rule's Kinesis action and does not run it, so iot_rules carries that.
"""

import base64
import gzip
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from collector.stores.dynamodb import TABLES, create_tables
from contract import timestamps
from contract.codec import dump
from deploy.ministack import Ministack, environment, function_url
from iot_rules.engine import PublishedMessage, Rules, load_documents
from milepost import app as cli
from tests.collector.handlers.conftest import minutes
from tests.local_aws import deployed

SECONDS = 30


class Cloud:
    """The deployed stack, from the outside."""

    def __init__(self, stack: Ministack, outputs: dict[str, str]) -> None:
        self.stack, self.outputs = stack, outputs
        self.beacon = function_url(stack, outputs["BeaconUrl"])
        self._rules = Rules(load_documents())
        self._kinesis = stack.client("kinesis")

    def publish(self, topic: str, payload: bytes, *, ago_ms: int = 0) -> list[dict[str, Any]]:
        """What the rules make of a message, put into the stream that they name; Kinesis's answers."""
        owner, now = topic.split("/")[1], time.time_ns() // 1_000_000 - ago_ms
        return [
            self._kinesis.put_record(
                StreamName=each.parameters["streamName"],
                PartitionKey=each.parameters["partitionKey"],
                Data=each.payload,
            )
            for each in self._rules.run(PublishedMessage(topic, payload, owner, now))
        ]

    def post(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.beacon + path, data=body, headers={"content-type": "text/plain", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def ask(self, *command: str) -> Any:
        """What the CLI prints with --json."""
        return json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` finds as soon as it is something."""
    deadline = time.monotonic() + SECONDS
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    stack, outputs = deployed()
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MILEPOST_STORE", "dynamodb://milepost")
    return Cloud(stack, outputs)


def lately(truck_id: str, count: int) -> list[dict[str, Any]]:
    """Samples of the last minutes."""
    now = time.time_ns() // 1_000_000
    made = minutes(truck_id, range(1, count + 1))
    return [{**one, "sampled_at": timestamps.from_ms(now - (count - one["seq"]) * 1000)} for one in made]


def test_a_sample_goes_through_to_history(cloud: Cloud) -> None:
    """Message, rule, stream, function, table, query; the newest first, so that history is put, changed and removed."""
    for one in reversed(lately("LIVE", 25)):
        cloud.publish("fleet/LIVE/telemetry", dump(one).encode())
    received = eventually(lambda: [row for row in cloud.ask("audit", "LIVE")["trucks"] if row["received"] == 25])
    assert [(row["highest_seq"], row["holes"]) for row in received] == [(25, [])]
    versions = cloud.ask("history", "LIVE")
    assert [row["is_current"] for row in versions] == [False, True]
    assert cloud.ask("verify", "LIVE") == []


def test_a_poison_record_is_a_dead_letter_that_says_where_it_lay(cloud: Cloud) -> None:
    """Reason, shard and sequence number; the good beside it are in history, and retry refuses it again."""
    (bad,) = cloud.publish("fleet/SICK/telemetry", b'{"truck_id":"SICK","gps_location":{"latitude":91}}')
    cloud.publish("fleet/SICK/telemetry", dump(lately("SICK", 1)[0]).encode())
    (letter,) = eventually(lambda: [each for each in cloud.ask("dead-letters", "list") if "SICK" in each["source"]])
    assert letter["field"] == "gps_location.latitude"
    assert letter["reason"].endswith(f"[{bad['ShardId']}:{bad['SequenceNumber']}]")
    assert eventually(lambda: cloud.ask("history", "SICK"))
    assert cloud.ask("dead-letters", "retry", letter["id"])["rejected"] == 1


def test_the_beacon_is_the_boxs_and_counts(cloud: Cloud) -> None:
    """Receipts when the stream has them; a repeat counts once; what is wrong is told at once and dead-lettered."""
    at = timestamps.from_ms(time.time_ns() // 1_000_000)
    good = {"event_id": "deployed-1", "event_type": "click", "timestamp": at, "item_id": "deployed", "click_count": 3}
    body = json.dumps({"events": [good, good, {**good, "event_id": "no\x00name"}]}).encode()
    status, answer = cloud.post("/v1/clicks", body)
    assert status == 200
    assert [(row["status"], row["field"]) for row in answer["receipts"]] == [
        ("accepted", None),
        ("accepted", None),
        ("rejected", "event_id"),
    ]
    found = eventually(lambda: [row for row in cloud.ask("clicks") if row["item_id"] == "deployed"])
    assert [row["count"] for row in found] == [3]
    assert eventually(lambda: [each for each in cloud.ask("dead-letters", "list") if each["source"] == "http:clicks"])
    assert cloud.post("/v1/clicks", b"no")[0] == 400
    assert cloud.post("/v1/telemetry", dump(lately("T1", 1)[0]).encode())[0] == 401
    with urllib.request.urlopen(f"{cloud.beacon}/v1/pixel.gif?item_id=p", timeout=30) as pixel:
        assert pixel.read()[:6] == b"GIF89a"
    with urllib.request.urlopen(f"{cloud.beacon}/beacon.js", timeout=30) as script:
        assert b"milepost" in script.read().lower()


def test_the_archive_holds_decoded_lines_by_date(cloud: Cloud) -> None:
    """Firehose's objects are JSON lines, one a sample, of the very record that was sent."""
    one = lately("KEPT", 1)[0]
    cloud.publish("fleet/KEPT/telemetry", dump(one).encode())
    s3, bucket = cloud.stack.client("s3"), cloud.outputs["BucketName"]
    today = timestamps.from_ms(time.time_ns() // 1_000_000)[:10]

    def lines() -> list[Any]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"archive/telemetry/date={today}/").get("Contents", [])
        bodies = [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed]
        plain = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in bodies]
        found = [json.loads(line) for body in plain for line in body.splitlines()]
        return [line for line in found if line["truck_id"] == "KEPT"]

    (line,) = eventually(lines)
    assert line["record"] == one
    assert line["source"] == "mqtt:fleet/KEPT/telemetry"


def test_gap_repair_asks_for_what_is_missing(cloud: Cloud) -> None:
    """The scheduled function finds the hole and may publish to trucks' resend topics."""
    quarter = 15 * 60_000
    for one in lately("HOLE", 5):
        if one["seq"] != 3:
            at = timestamps.from_ms(time.time_ns() // 1_000_000 - quarter - 5000 + one["seq"])
            cloud.publish("fleet/HOLE/telemetry", dump({**one, "sampled_at": at}).encode(), ago_ms=quarter)
    assert eventually(lambda: [row for row in cloud.ask("audit", "HOLE")["trucks"] if row["received"] == 4])
    answer = cloud.stack.client("lambda").invoke(FunctionName="milepost-repair", Payload=b"{}", LogType="Tail")
    log = base64.b64decode(answer.get("LogResult", "")).decode()
    assert json.loads(answer["Payload"].read()) == {"asked": 1, "failed": 0}, log
    again = cloud.stack.client("lambda").invoke(FunctionName="milepost-repair", Payload=b"{}")
    assert json.loads(again["Payload"].read()) == {"asked": 0, "failed": 0}


def test_what_is_rare_is_allowed_too(cloud: Cloud) -> None:
    """Ledgers too long for the head, asked for, healed and back in it; a sample too old, a truck's status."""
    odd, even = (one for one in (lately("RARE", 80)[start::2] for start in (0, 1)))
    for one in odd:
        cloud.publish("fleet/RARE/telemetry", dump(one).encode(), ago_ms=15 * 60_000)
    assert eventually(lambda: [row for row in cloud.ask("audit", "RARE")["trucks"] if row["received"] == 40])
    answer = cloud.stack.client("lambda").invoke(FunctionName="milepost-repair", Payload=b"{}", LogType="Tail")
    assert json.loads(answer["Payload"].read())["failed"] == 0, base64.b64decode(answer.get("LogResult", "")).decode()
    cloud.publish("fleet/RARE/telemetry/batch", dump({"records": even}).encode())
    assert eventually(lambda: [row for row in cloud.ask("audit", "RARE")["trucks"] if row["received"] == 80])
    old = {**even[-1], "seq": 81, "sampled_at": timestamps.from_ms(time.time_ns() // 1_000_000 - 40 * 86_400_000)}
    cloud.publish("fleet/RARE/telemetry", dump(old).encode())
    (late,) = eventually(lambda: [each for each in cloud.ask("dead-letters", "list") if "RARE" in each["source"]])
    assert "too_late" in late["reason"]
    cloud.publish("fleet/RARE/status", dump({"state": "online", "at": old["sampled_at"]}).encode())
    cloud.publish("fleet/RARE/telemetry", b"[" * 400_000)
    assert eventually(lambda: len([e for e in cloud.ask("dead-letters", "list") if "RARE" in e["source"]]) == 2)
    assert cloud.ask("verify", "RARE") == []


def test_the_tables_are_the_stores(cloud: Cloud) -> None:
    """What CloudFormation made is what create_tables makes; TTL, which ministack's leaves out, by the template."""
    from deploy.render import render

    resources = render()["Resources"].values()
    written = {each["Properties"]["TableName"]["Fn::Sub"]: each for each in resources if "DynamoDB" in each["Type"]}
    dynamodb = cloud.stack.client("dynamodb")
    create_tables(dynamodb, "compare")
    for table in TABLES:
        ours, theirs = (_described(dynamodb, table.full_name(prefix)) for prefix in ("milepost", "compare"))
        assert ours == {**theirs, "ttl": ("DISABLED", None)}
        ttl = written[table.full_name("${Prefix}")]["Properties"].get("TimeToLiveSpecification", {})
        assert theirs["ttl"] == (("ENABLED", ttl["AttributeName"]) if ttl else ("DISABLED", None))
        dynamodb.delete_table(TableName=table.full_name("compare"))


def _described(dynamodb: Any, name: str) -> dict[str, Any]:
    table = dynamodb.describe_table(TableName=name)["Table"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return {
        "keys": table["KeySchema"],
        "attributes": sorted(map(dump, table["AttributeDefinitions"])),
        "billing": table.get("BillingModeSummary", {}).get("BillingMode"),
        "ttl": (ttl["TimeToLiveStatus"], ttl.get("AttributeName")),
        "indexes": [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in table.get("GlobalSecondaryIndexes", [])
        ],
    }


def test_streams_keep_seven_days_and_rules_are_the_documents(cloud: Cloud) -> None:
    """As deployed, not only as written."""
    kinesis, iot = cloud.stack.client("kinesis"), cloud.stack.client("iot")
    for name in ("milepost-telemetry", "milepost-clicks"):
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        assert summary["RetentionPeriodHours"] == 168
    for rule in load_documents():
        made = iot.get_topic_rule(ruleName=rule.name)["rule"]
        assert (made["sql"], made["awsIotSqlVersion"]) == (rule.sql, "2016-03-23")
        (kind,) = rule.document["topicRulePayload"]["actions"][0]
        assert list(made["actions"][0]) == [kind]
        if kind == "kinesis":
            assert made["actions"][0][kind]["partitionKey"] == "${topic(2)}"
            assert made["actions"][0][kind]["streamName"] == "milepost-telemetry"
        assert made["errorAction"]["s3"]["bucketName"] == cloud.outputs["BucketName"]
