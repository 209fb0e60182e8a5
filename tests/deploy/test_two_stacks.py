"""Two environments in one account: the template deployed under two prefixes, and neither hears of the other.

The second has its canary and its reader in Snowflake, so that they are deployed somewhere. Provisioned capacity is not:
ministack knows no scaling.
"""

import json
import time
from typing import Any
from urllib.parse import unquote

import pytest

from collector import queries
from collector.handlers import bootstrap, canary
from collector.stores.dynamodb import DynamoDbStore
from contract import machine_clock, timestamps
from contract.codec import dump
from deploy.ministack import Ministack, deploy, environment
from iot_rules.engine import PublishedMessage, Rules, load_documents
from tests.collector.handlers.conftest import minutes
from tests.local_aws import deployed

SECOND = {
    "Prefix": "second",
    "RulePrefix": "second",
    "Canary": "on",
    "DeletionProtection": "false",
    "SnowflakeRoleArn": "arn:aws:iam::123456789012:user/snowflake",
    "SnowflakeExternalId": "MILEPOST_SFCRole=1",
}


@pytest.fixture(scope="module")
def both() -> Ministack:
    stack, _ = deployed()
    sqs = stack.client("sqs")
    queue = sqs.create_queue(QueueName="snowflake")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3_may = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [s3_may]}  # as Snowflake's has; S3 sends a test message to it
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    deploy(stack, {**SECOND, "SnowflakeQueueArn": arn}, name="second")
    return stack


def _send(stack: Ministack, prefix: str, truck_id: str, payload: dict[str, Any]) -> None:
    """As the prefix's rule does."""
    message = PublishedMessage(f"fleet/{truck_id}/telemetry", dump(payload).encode(), truck_id, machine_clock.now_ms())
    [made] = Rules(load_documents()).run(message)
    stack.client("kinesis").put_record(StreamName=f"{prefix}-telemetry", PartitionKey=truck_id, Data=made.payload)


def _history(stack: Ministack, prefix: str, truck_id: str) -> list[Any]:
    return list(queries.history(DynamoDbStore(prefix, stack.client("dynamodb")), truck_id))


def _eventually(stack: Ministack, prefix: str, truck_id: str) -> list[Any]:
    deadline = time.monotonic() + 90
    while not (found := _history(stack, prefix, truck_id)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _lately(truck_id: str) -> dict[str, Any]:
    [sample] = minutes(truck_id, [1])
    return {**sample, "sampled_at": timestamps.from_ms(machine_clock.now_ms() - 1_000)}


def test_each_has_the_history_of_its_own_stream_only(both: Ministack) -> None:
    _send(both, "milepost", "APART-1", _lately("APART-1"))
    _send(both, "second", "APART-2", _lately("APART-2"))
    assert len(_eventually(both, "milepost", "APART-1")) == len(_eventually(both, "second", "APART-2")) == 1
    assert _history(both, "milepost", "APART-2") == _history(both, "second", "APART-1") == []


def test_snowflake_s_queue_is_told_of_new_files_of_the_archive(both: Ministack) -> None:
    s3, sqs = both.client("s3"), both.client("sqs")
    bucket = next(each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith("second-"))
    for key in ("rule-errors/1", "archive/telemetry/date=2026-11-29/1.jsonl.gz"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    queue = sqs.get_queue_url(QueueName="snowflake")["QueueUrl"]
    told: list[str] = []
    deadline = time.monotonic() + 60
    while not any("date=2026-11-29/1" in key for key in told) and time.monotonic() < deadline:
        got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10).get("Messages", ())
        records = [record for each in got for record in json.loads(each["Body"]).get("Records", ())]  # a test has none
        told += [unquote(record["s3"]["object"]["key"]) for record in records]
    assert "archive/telemetry/date=2026-11-29/1.jsonl.gz" in told
    assert [key for key in told if not key.startswith("archive/")] == []
    roles = both.client("iam").list_roles()["Roles"]
    assert [each for each in roles if "snowflake" in json.dumps(each["AssumeRolePolicyDocument"])]


def test_the_canary_sends_and_finds_what_it_sent(both: Ministack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function is there only where it is on. IoT Core's part of the way is the rule, which is carried here."""
    names = {each["FunctionName"] for each in both.client("lambda").list_functions()["Functions"]}
    assert "second-canary" in names
    assert "milepost-canary" not in names
    for name, value in environment(both.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CANARY_TRUCK", "second-canary")
    store = DynamoDbStore("second", both.client("dynamodb"))
    monkeypatch.setattr(bootstrap, "store", lambda: store)
    sent: list[dict[str, Any]] = []

    class Published:
        def publish(self, **message: Any) -> None:
            sent.append(message)
            _send(both, "second", "second-canary", json.loads(message["payload"]))

    monkeypatch.setattr(canary, "_iot_data", Published)
    context = type("Context", (), {"function_name": "canary", "memory_limit_in_mb": 1, "invoked_function_arn": "a",
                                   "aws_request_id": "1"})()  # fmt: skip
    assert canary.handler({}, context) == {"age_ms": None}
    assert _eventually(both, "second", "second-canary")
    found = canary.handler({}, context)["age_ms"]
    assert found is not None
    assert 0 < found < 60_000
    assert [each["topic"] for each in sent] == ["fleet/second-canary/telemetry"] * 2
