"""The optional part of alerts on AWS: its function on ministack's DynamoDB and SNS, and its template by cfn-lint."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.queries import kept_alerts
from collector.history import TrackingPolicy
from collector.ingest import Ingest, unpack
from collector.stores.factory import open_store
from contract import timestamps
from contract.codec import dump
from contract.ingest_items import Item
from deploy import alerts_function
from tests import ministack
from tests.cfn_lint import assert_clean
from tests.contract.examples import put, sample

TEMPLATE = Path(alerts_function.__file__).with_name("alerts.yaml")
HEAT = "engine_diagnostics.engine_temperature"
PREFIX = "alertsfn"


class Context:
    """A call that has a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Tables, a topic and the function's environment; the URL of a queue that gets what the topic is told."""
    url = ministack.shared()
    from collector.stores.dynamodb.tables import create_tables

    create_tables(ministack.client(url), PREFIX)
    topic = ministack.client(url, "sns").create_topic(Name=PREFIX)["TopicArn"]
    sqs = ministack.client(url, "sqs")
    made = sqs.create_queue(QueueName=PREFIX)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    ministack.client(url, "sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    receiver = {"name": "topic", "kind": "sns", "topic_arn": topic, "at_least": "critical", "wait_seconds": 0}
    for name, value in {
        **ministack.CREDENTIALS,
        "AWS_ENDPOINT_URL": url,
        "MILEPOST_STORE": f"dynamodb://{PREFIX}",
        "MILEPOST_ALERTS__RECEIVERS": json.dumps([receiver]),
    }.items():
        monkeypatch.setenv(name, value)
    alerts_function._alerts.cache_clear()
    yield made
    alerts_function._alerts.cache_clear()


def store(*heats: tuple[float, float]) -> None:
    """Samples of T1 by minutes ago and engine temperature."""
    opened = open_store(f"dynamodb://{PREFIX}")
    now_ms = time.time_ns() // 1_000_000
    records = [
        put(sample(seq=round(100 - 2 * ago), sampled_at=timestamps.from_ms(now_ms - round(ago * 60_000))), HEAT, heat)
        for ago, heat in heats
    ]
    items = [Item("telemetry", "file:telemetry", dump(record).encode(), now_ms) for record in records]
    Ingest(opened, TrackingPolicy.of()).ingest([each for item in items for each in unpack(item)])
    opened.close()


def told(queue: str) -> list[tuple[str, str]]:
    """What the topic was told, as events and rules."""
    sqs = ministack.client(ministack.shared(), "sqs")
    found = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            said: Any = json.loads(json.loads(message["Body"])["Message"])
            found += [(each["event"], each["alert"]["rule"]) for each in said["messages"]]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def judge() -> dict[str, Any]:
    return alerts_function.handler({}, Context())


def test_what_is_stored_is_judged_kept_and_told_once_also_by_a_cold_function(queue: str) -> None:
    store((5, 80), (4, 115), (3, 116), (1, 117))
    assert judge() == {"caught_up": True, "told": 1}
    [alert] = [each for each in kept_alerts(open_store(f"dynamodb://{PREFIX}")) if each["rule"] == "overheating"]
    assert (alert["subject"], alert["end"]) == ("T1", None)
    alerts_function._alerts.cache_clear()  # a cold start judges the last day again
    assert judge()["told"] == 0
    assert told(queue) == [("opening", "overheating")]
    store((0.5, 80))
    function = alerts_function._alerts()
    function.reader._look_due = 0.0  # half a minute later
    assert judge()["told"] == 1
    store((2, 90))  # late: it was never hot for two minutes
    function.reader._whole_due = 0.0  # an hour later
    assert judge()["told"] == 1
    assert told(queue) == [("end", "overheating"), ("retraction", "overheating")]


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    copy = tmp_path / "alerts.yaml"
    copy.write_text(TEMPLATE.read_text())
    assert_clean(copy)


def test_the_tables_are_those_of_the_store() -> None:
    """By name and keys, as collector.stores.dynamodb.tables has them."""
    import yaml

    from collector.stores.dynamodb.tables import TABLES

    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda load, tag, node: node.value)
    resources = yaml.load(TEMPLATE.read_text(), loader)["Resources"]
    made = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::DynamoDB::Table"]
    wanted = [table.definition("milepost") for table in TABLES if "alert" in table.full_name("milepost")]
    assert [(each["TableName"].replace("${Prefix}", "milepost"), each["KeySchema"]) for each in made] == [
        (each["TableName"], each["KeySchema"]) for each in wanted
    ]
