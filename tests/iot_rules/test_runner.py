"""Real deliveries, to ministack: every action that is run locally, and the error action's one message."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from contract.errors import Misconfigured
from iot_rules.action_targets import Publication, Targets
from iot_rules.actions import Delivery
from iot_rules.clients import Clients
from iot_rules.engine import PublishedMessage, Rules, TopicRule, load_documents, read_rule
from iot_rules.errors import DeliveryFailed
from iot_rules.runner import Runner

Aws = Callable[[str], Any]
SELECT = "SELECT *, topic(2) AS truck FROM 'fleet/+/telemetry'"
MESSAGE = PublishedMessage(
    "fleet/t1/telemetry", b'{"speed":81.5,"on":true,"faults":[null,"x"]}', client_id="t1", trace_id="trace"
)
OUTPUT = {"speed": 81.5, "on": True, "faults": [None, "x"], "truck": "t1"}


def rule(*actions: dict[str, Any], sql: str = SELECT, **more: Any) -> TopicRule:
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": list(actions), **more}
    return read_rule({"ruleName": more.pop("name", "r"), "topicRulePayload": payload})


def s3(bucket: str, key: str = "${topic(2)}/${timestamp()}.json") -> dict[str, Any]:
    return {"s3": {"roleArn": "r", "bucketName": bucket, "key": key}}


@pytest.fixture
def run(ministack: str) -> Callable[..., Any]:
    def handle(
        *rules: TopicRule, message: PublishedMessage = MESSAGE, publish: Callable[[Publication], None] | None = None
    ) -> Any:
        targets = Targets(Clients("us-east-1", ministack), publish)
        targets.require(rules)
        return Runner(Rules(rules), targets.send).handle(message)

    return handle


def test_kinesis(run: Any, aws: Aws) -> None:
    client = aws("kinesis")
    client.create_stream(StreamName="milepost-telemetry", ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName="milepost-telemetry")
    report = run(*load_documents(), publish=lambda publication: None)
    assert [each.rule_name for each in report.delivered] == ["milepost_telemetry"]
    shard = client.list_shards(StreamName="milepost-telemetry")["Shards"][0]["ShardId"]
    iterator = client.get_shard_iterator(
        StreamName="milepost-telemetry", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (record,) = client.get_records(ShardIterator=iterator)["Records"]
    assert record["PartitionKey"] == "t1"
    assert base64.b64decode(json.loads(record["Data"])["data"]) == MESSAGE.payload


def test_s3_keeps_the_bytes(run: Any, aws: Aws) -> None:
    aws("s3").create_bucket(Bucket="raw")
    message = PublishedMessage("fleet/t1/telemetry", b"\xff\x00raw", timestamp_ms=5)
    run(rule(s3("raw"), sql="SELECT * FROM 'fleet/#'"), message=message)
    assert aws("s3").get_object(Bucket="raw", Key="t1/5.json")["Body"].read() == b"\xff\x00raw"


@pytest.mark.parametrize("encoded", [False, True])
def test_sqs(run: Any, aws: Aws, encoded: bool) -> None:
    url = aws("sqs").create_queue(QueueName=f"queue-{encoded}")["QueueUrl"]
    run(rule({"sqs": {"roleArn": "r", "queueUrl": url, "useBase64": encoded}}))
    (received,) = aws("sqs").receive_message(QueueUrl=url)["Messages"]
    body = base64.b64decode(received["Body"]) if encoded else received["Body"]
    assert json.loads(body) == OUTPUT


def test_dynamodb_v2_makes_a_column_of_each_key(run: Any, aws: Aws) -> None:
    aws("dynamodb").create_table(
        TableName="trucks",
        KeySchema=[{"AttributeName": "truck", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "truck", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    run(rule({"dynamoDBv2": {"roleArn": "r", "putItem": {"tableName": "trucks"}}}))
    item = aws("dynamodb").get_item(TableName="trucks", Key={"truck": {"S": "t1"}})["Item"]
    assert item == {
        "speed": {"N": "81.5"}, "on": {"BOOL": True}, "faults": {"L": [{"NULL": True}, {"S": "x"}]},
        "truck": {"S": "t1"},
    }  # fmt: skip


def test_firehose_one_record_and_a_batch(run: Any, aws: Aws) -> None:
    aws("s3").create_bucket(Bucket="lake")
    aws("firehose").create_delivery_stream(
        DeliveryStreamName="lake",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::lake",
        },
    )  # fmt: skip
    action = {"firehose": {"roleArn": "r", "deliveryStreamName": "lake", "separator": "\n", "batchMode": True}}
    assert len(run(rule(action)).delivered) == 1
    array = PublishedMessage("fleet/t1/telemetry", b"[1,2,3]")
    report = run(rule(action, sql="SELECT VALUE * FROM 'fleet/#'"), message=array)
    assert [each.payload for each in report.delivered] == [b"1\n", b"2\n", b"3\n"]
    assert not report.failures


def test_lambda_is_invoked_with_the_output(run: Any, aws: Aws) -> None:
    aws("s3").create_bucket(Bucket="invoked")
    code = (
        "import boto3, json, os\n"
        "def handler(event, context):\n"
        "    s3 = boto3.client('s3', endpoint_url=os.environ['AT'], region_name='us-east-1')\n"
        "    s3.put_object(Bucket='invoked', Key='event', Body=json.dumps(event).encode())\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", code)
    arn = aws("lambda").create_function(
        FunctionName="told", Runtime="python3.11", Role="arn:aws:iam::000000000000:role/lambda",
        Handler="handler.handler", Code={"ZipFile": packed.getvalue()}, Timeout=30,
        Environment={"Variables": {"AT": aws("s3").meta.endpoint_url}},
    )["FunctionArn"]  # fmt: skip
    assert not run(rule({"lambda": {"functionArn": arn}})).failures
    assert json.loads(_eventually(lambda: aws("s3").get_object(Bucket="invoked", Key="event"))) == OUTPUT


def _eventually(get: Callable[[], Any]) -> bytes:
    deadline = time.monotonic() + 90
    while True:
        try:
            body: bytes = get()["Body"].read()
            return body
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_republish_goes_to_the_publish_that_was_given(run: Any) -> None:
    seen: list[Publication] = []
    headers = {"contentType": "application/json", "userProperties": [{"key": "k", "value": "${topic(2)}"}]}
    action = {"republish": {"roleArn": "r", "topic": "$$aws/things/${topic(2)}/x", "qos": 1, "headers": headers}}
    run(rule(action), publish=seen.append)
    (publication,) = seen
    assert (publication.topic, publication.qos) == ("$aws/things/t1/x", 1)
    assert publication.headers["userProperties"] == [{"key": "k", "value": "t1"}]
    assert json.loads(publication.payload) == OUTPUT


def test_two_failed_actions_make_one_error_message_and_the_others_are_delivered(run: Any, aws: Aws) -> None:
    for bucket in ("good", "errors"):
        aws("s3").create_bucket(Bucket=bucket)
    failing = rule(
        s3("no-such-bucket"),
        s3("good", "delivered"),
        {"sqs": {"roleArn": "r", "queueUrl": "http://127.0.0.1/000000000000/none"}},
        s3("good", "${missing}"),
        errorAction=s3("errors", "error"),
    )
    other = read_rule({"ruleName": "other", "topicRulePayload": {"sql": SELECT, "actions": [s3("good", "other")]}})
    report = run(failing, other)
    assert sorted(each.parameters["key"] for each in report.delivered) == ["delivered", "other"]
    assert len(report.errors) == 1
    assert not report.lost
    told = json.loads(aws("s3").get_object(Bucket="errors", Key="error")["Body"].read())
    assert base64.b64decode(told["base64OriginalPayload"]) == MESSAGE.payload
    assert (told["ruleName"], told["topic"], told["clientId"]) == ("r", "fleet/t1/telemetry", "t1")
    assert told["cloudwatchTraceId"] == "trace"
    assert [each["failedAction"] for each in told["failures"]] == ["S3Action", "S3Action", "SqsAction"]
    bucketless = next(each for each in told["failures"] if each["failedResource"] == "no-such-bucket")
    assert bucketless["errorMessage"].startswith("Failed to put S3 object. The error received was")
    assert bucketless["errorMessage"].endswith("Message arrived on: fleet/t1/telemetry, Action: s3")


def test_what_takes_text_refuses_bytes(run: Any, aws: Aws) -> None:
    url = aws("sqs").create_queue(QueueName="text")["QueueUrl"]
    action = {"sqs": {"roleArn": "r", "queueUrl": url}}
    report = run(rule(action, sql="SELECT * FROM 'fleet/#'"), message=PublishedMessage("fleet/t/x", b"\xff"))
    assert "not UTF-8" in report.failures["r"][0].message
    assert report.lost == ["r"]


# -- without any service


def test_a_failed_error_action_is_reported_as_lost() -> None:
    def refuse(deliveries: Sequence[Delivery]) -> None:
        raise DeliveryFailed("down")

    report = Runner(Rules([rule(s3("a"), errorAction=s3("b"))]), refuse).handle(MESSAGE)
    assert (report.lost, report.errors, report.delivered) == (["r"], [], [])
    assert len(report.failures["r"]) == 1


def test_whatever_an_action_raises_the_others_run() -> None:
    sent: list[str] = []

    def send(deliveries: Sequence[Delivery]) -> None:
        if deliveries[0].parameters["bucketName"] == "a":
            raise ZeroDivisionError
        sent.append(deliveries[0].parameters["bucketName"])

    report = Runner(Rules([rule(s3("a"), s3("b"), errorAction=s3("c"))]), send).handle(MESSAGE)
    assert sent == ["b", "c"]
    assert "ZeroDivisionError" in report.failures["r"][0].message


def test_clients_are_built_on_first_use() -> None:
    Targets(Clients("us-east-1", "http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"sns": {"roleArn": "r", "targetArn": "t"}}, "sns is not run locally"),
        ({"republish": {"topic": "t"}}, "broker"),
    ],
)
def test_an_action_that_cannot_be_run_here_is_refused_before_any_message(action: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        Targets(Clients()).require([rule(action)])
