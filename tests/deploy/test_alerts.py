"""The optional part of alerts on AWS: its functions on ministack's DynamoDB and SNS; its template by cfn-lint, and
deployed there beside the main stack, where the stream of the table of samples calls the function."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.queries import kept_alerts
from collector.history import TrackingPolicy
from collector.ingest import Ingest, unpack
from collector.stores.dynamodb import items
from collector.stores.factory import open_store
from contract import timestamps
from contract.codec import dump
from contract.ingest_items import Item, Kind
from deploy import alerts_function
from deploy.ministack import environment
from tests import ministack
from tests.cfn_lint import assert_clean
from tests.contract.examples import click, put, sample
from tests.deploy.optional_stack import deploy_optional
from tests.local_aws import deployed
from tests.waiting import until

TEMPLATE = Path(alerts_function.__file__).with_name("alerts.yaml")
HEAT = "engine_diagnostics.engine_temperature"


class Context:
    """A call that has a minute left."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Installation:
    """Tables of a test's own, and a queue that gets what the function tells its topic."""

    def __init__(self) -> None:
        from collector.stores.dynamodb.tables import create_tables

        url, self.prefix = ministack.shared(), f"alerts-{uuid.uuid4().hex[:8]}"
        create_tables(ministack.client(url), self.prefix)
        self.topic = ministack.client(url, "sns").create_topic(Name=self.prefix)["TopicArn"]
        self._sqs = ministack.client(url, "sqs")
        self._queue = self._sqs.create_queue(QueueName=self.prefix)["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        arn = asked["Attributes"]["QueueArn"]
        ministack.client(url, "sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def told(self) -> list[tuple[str, str]]:
        """What the topic was told, as events and rules."""
        found = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                said: Any = json.loads(json.loads(message["Body"])["Message"])
                found += [(each["event"], each["alert"]["rule"]) for each in said["messages"]]
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def alerts(self, subject: str) -> list[dict[str, Any]]:
        """Those that are kept of a subject."""
        return [each for each in kept_alerts(open_store(f"dynamodb://{self.prefix}")) if each["subject"] == subject]


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """The function's environment is that of these tables."""
    made = Installation()
    receiver = {"name": "topic", "kind": "sns", "topic_arn": made.topic, "at_least": "critical", "wait_seconds": 0}
    for name, value in {
        **ministack.CREDENTIALS,
        "AWS_ENDPOINT_URL": ministack.shared(),
        "MILEPOST_STORE": f"dynamodb://{made.prefix}",
        "MILEPOST_ALERTS__RECEIVERS": json.dumps([receiver]),
    }.items():
        monkeypatch.setenv(name, value)
    cold()
    yield made
    cold()


def cold() -> None:
    """As a function that was just started."""
    alerts_function._alerts.cache_clear()
    alerts_function._parts.cache_clear()


def judge() -> dict[str, Any]:
    """By the schedule."""
    return alerts_function.handler({}, Context())


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def store(prefix: str, *heats: tuple[float, float], truck_id: str = "T1") -> None:
    """Samples of a truck by minutes ago and engine temperature."""
    now = now_ms()
    times = {ago: timestamps.from_ms(now - round(ago * 60_000)) for ago, _ in heats}
    records = [
        put(sample(truck_id=truck_id, seq=round(100 - 2 * ago), sampled_at=times[ago]), HEAT, heat)
        for ago, heat in heats
    ]
    take(prefix, "telemetry", records)


def take(prefix: str, kind: Kind, records: list[dict[str, Any]]) -> None:
    """Into the store, as ingest puts them."""
    opened = open_store(f"dynamodb://{prefix}")
    given = [Item(kind, f"file:{kind}", dump(record).encode(), now_ms()) for record in records]
    Ingest(opened, TrackingPolicy.of()).ingest([each for item in given for each in unpack(item)])
    opened.close()


def images(prefix: str, truck_id: str = "T1") -> list[dict[str, Any]]:
    """What is stored of a truck, as records of the stream; Lambda writes bytes in base64."""
    found = open_store(f"dynamodb://{prefix}").samples(truck_id)
    made = [items.sample_item(truck_id, each) for each in found]
    return [
        {"eventName": "INSERT", "dynamodb": {"NewImage": {name: _plain(value) for name, value in item.items()}}}
        for item in made
    ]


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value


def test_what_is_stored_is_judged_kept_and_told_once_also_by_a_cold_function(installation: Installation) -> None:
    prefix = installation.prefix
    store(prefix, (5, 80), (4, 115), (3, 116), (1, 117))
    assert judge() == {"caught_up": True, "told": 1}
    [alert] = [each for each in installation.alerts("T1") if each["rule"] == "overheating"]
    assert alert["end"] is None
    cold()  # it judges the last day again
    assert judge()["told"] == 0
    assert installation.told() == [("opening", "overheating")]
    store(prefix, (0.5, 80))
    function = alerts_function._alerts()
    function.reader._look_due = 0.0  # a quarter of an hour later, had the stream brought nothing
    assert judge()["told"] == 1
    store(prefix, (2, 90))  # late: it was never hot for two minutes
    function.reader._whole_due = 0.0  # an hour later
    assert judge()["told"] == 1
    assert installation.told() == [("end", "overheating"), ("retraction", "overheating")]


def test_what_the_stream_brings_late_and_twice_is_judged_at_once_and_told_once(installation: Installation) -> None:
    """With no look at the tables in between; claims, and what was changed or has expired, are no samples."""
    store(installation.prefix, (4, 115), (3, 116), (1, 117))
    assert [judge()["told"] for _ in range(2)] == [1, 0]
    store(installation.prefix, (2, 90))
    others = [
        {"eventName": "REMOVE", "dynamodb": {}},
        {"eventName": "INSERT", "dynamodb": {"NewImage": items.claim_item("T1", "a", "b", now_ms=now_ms())}},
    ]
    event = {"Records": [*images(installation.prefix), *others]}
    assert [alerts_function.handler(event, Context())["told"] for _ in range(2)] == [1, 0]
    assert installation.told() == [("opening", "overheating"), ("retraction", "overheating")]


def test_conversion_is_judged_by_what_the_tables_hold(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"title": "fell", "kind": "conversion", "value": 0.5, "minutes": 1440, "samples": 3, "severity": "critical"}
    rules = tmp_path / "rules.toml"
    rules.write_text("[fell]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in rule.items()))
    monkeypatch.setenv("MILEPOST_ALERTS__RULES", str(rules))
    events = [(f"before-{each}", 70 + each, "purchase") for each in range(3)]
    events += [(f"now-{each}", 3 + each, "view") for each in range(3)]
    visits = [
        click(event_id=name, session_id=name, timestamp=timestamps.from_ms(now_ms() - ago * 3_600_000), event_type=kind)
        for name, ago, kind in events
    ]
    take(installation.prefix, "click", visits)
    assert alerts_function.conversion_handler({}, Context()) == {}
    [alert] = installation.alerts("shop")
    assert (alert["rule"], alert["end"]) == ("fell", None)
    assert judge()["told"] == 1
    assert installation.told() == [("opening", "fell")]


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    copy = tmp_path / "alerts.yaml"
    copy.write_text(TEMPLATE.read_text())
    assert_clean(copy)


def test_deployed_beside_the_main_stack_it_judges_what_is_stored_as_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IAM is enforced, and the schedule is off: only the stream calls the function, also for what comes late."""
    stack, outputs = deployed()
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    given = {"SampleStreamArn": outputs["SampleStreamArn"], "Window": "0"}
    deploy_optional(stack.client, "milepost-alerts", TEMPLATE.read_text(), given)
    events = stack.client("events")
    off = [each["Name"] for each in events.list_rules()["Rules"] if "alerts" in each["Name"].lower()]
    assert len(off) == 2
    for name in off:
        events.disable_rule(Name=name)
    reader = open_store("dynamodb://milepost")

    def rules_of_truck() -> set[str]:
        return {each["rule"] for each in kept_alerts(reader) if each["subject"] == "HOT"}

    store("milepost", (4, 115), (3, 116), (1, 117), truck_id="HOT")
    until(lambda: "overheating" in rules_of_truck())
    store("milepost", (2, 90), truck_id="HOT")
    until(lambda: "overheating" not in rules_of_truck())
    answer = stack.client("lambda").invoke(FunctionName="milepost-alerts-conversion", Payload=b"{}")
    assert (answer.get("FunctionError"), json.loads(answer["Payload"].read())) == (None, {})
