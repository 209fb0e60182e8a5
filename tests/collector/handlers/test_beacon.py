"""The beacon function: the box's HTTP, answered when Kinesis has the records; its contract: tests/collector/beacon."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from collector.handlers import beacon
from collector.ingest.stream_records import bare, open_record
from contract import timestamps
from deploy.ministack import environment
from tests.contract.examples import sample
from tests.local_aws import ministack

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Two streams of the test's own, in the function's environment."""
    stack = ministack()
    client = stack.client("kinesis")
    made = {kind: f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("TELEMETRY", "CLICKS")}
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    for kind, name in made.items():
        client.create_stream(StreamName=name, ShardCount=1)
        monkeypatch.setenv(f"{kind}_STREAM", name)
    client.get_waiter("stream_exists").wait(StreamName=made["CLICKS"], WaiterConfig={"Delay": 1})
    beacon._app.cache_clear()
    yield made
    beacon._app.cache_clear()
    for name in made.values():
        client.delete_stream(StreamName=name)


@pytest.fixture
def call(names: dict[str, str], context: Any) -> Call:
    def called(method: str, path: str, body: str | bytes = "", query: str = "", **headers: str) -> dict[str, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {"http": {"method": method, "sourceIp": "127.0.0.1"}, "stage": "$default"},
            "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
            "isBase64Encoded": isinstance(body, bytes),
        }
        return beacon.handler(event, context)  # type: ignore[no-any-return]

    return called


def click(number: int = 1, **changes: Any) -> dict[str, Any]:
    import time

    at = timestamps.from_ms(time.time_ns() // 1_000_000)
    return {"event_id": f"e{number}", "event_type": "click", "timestamp": at, "item_id": "i", **changes}


def bare_click(data: bytes) -> Any:
    return bare(data, kind="click", arrived_ms=1, origin="")


def stored(name: str) -> list[Any]:
    """Envelopes in a stream."""
    return [json.loads(data) for data in put_into(name)]


def put_into(name: str) -> list[bytes]:
    """The data of a stream's records."""
    client = ministack().client("kinesis")
    (shard,) = client.list_shards(StreamName=name)["Shards"]
    iterator = client.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    return [each["Data"] for each in client.get_records(ShardIterator=iterator)["Records"]]


def test_events_are_in_the_stream_when_they_are_answered(call: Call, names: dict[str, str]) -> None:
    """Also base64-encoded bodies; one stream record a request."""
    answer = call(
        "POST", "/v1/clicks", json.dumps({"events": [click(1), click(2), {"event_id": "e3", "price": "1"}, 7]}).encode()
    )
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    receipts = json.loads(answer["body"])["receipts"]
    assert [(row["event_id"], row["status"]) for row in receipts] == [
        ("e1", "accepted"), ("e2", "accepted"), ("e3", "accepted"), (None, "rejected"),
    ]  # fmt: skip
    assert list(receipts[2]["warnings"]) == ["price"]
    (envelope,) = stored(names["CLICKS"])
    assert envelope["door"] == "http:clicks"
    *events, seven = json.loads(envelope["body"])["events"]
    assert ([event["event_id"] for event in events], seven) == (["e1", "e2", "e3"], 7)
    assert answer["headers"]["access-control-allow-origin"] == "*"


def test_what_is_too_large_for_the_store_is_refused_at_the_door_and_kept(call: Call, names: dict[str, str]) -> None:
    """Quotes, whose escapes alone are over a stream record's limit, and text that nothing makes smaller."""
    quotes = '"' * 400_000
    noise = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=530_000))
    for event_id, page in (("q", quotes), ("n", noise)):
        answer = call("POST", "/v1/clicks", json.dumps({"events": [{**click(2), "event_id": event_id, "title": page}]}))
        [row] = json.loads(answer["body"])["receipts"]
        assert row["status"] == "rejected"
        assert "bytes of JSON" in row["reason"]
    kept = [item for data in put_into(names["CLICKS"]) for item in open_record(bare_click(data))[0]]
    assert [item.record["title"] for item in kept] == [quotes, noise]


def test_what_cannot_be_put_is_503_and_to_be_sent_again(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the stream's fault is; nothing is acknowledged."""
    monkeypatch.setenv("CLICKS_STREAM", "nowhere")
    answer = call("POST", "/v1/clicks", json.dumps(click()))
    assert answer["statusCode"] == 503
    assert int(answer["headers"]["retry-after"]) > 0


def test_telemetry_is_closed_without_keys_and_bound_with_them(
    call: Call, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is public."""
    body = json.dumps(sample(truck_id="T7"))
    assert call("POST", "/v1/telemetry", body)["statusCode"] == 401
    beacon._app.cache_clear()
    monkeypatch.setenv("MILEPOST_BEACON__TELEMETRY_KEYS", '{"secret-of-T1": "T7"}')
    answer = call("POST", "/v1/telemetry", body, authorization="Bearer secret-of-T1")
    assert json.loads(answer["body"])["receipts"][0]["status"] == "accepted"
    (envelope,) = stored(names["TELEMETRY"])
    assert envelope["truck_id"] == "T7"


def test_all_instances_give_a_nameless_event_the_same_identity_by_the_secret_that_they_share(
    call: Call, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a retry that another instance gets would be counted again."""
    manager = ministack().client("secretsmanager")
    said = json.dumps({"identity_secret": "shared by all", "telemetry_keys": {"secret-of-T1": "T7"}})
    secret = manager.create_secret(Name=f"beacon-{uuid.uuid4().hex[:8]}", SecretString=said)
    monkeypatch.setenv("BEACON_SECRET", secret["ARN"])
    event = json.dumps({"events": [{"event_type": "page_view", "page": "/"}]})
    for _ in range(2):
        beacon._app.cache_clear()  # another instance
        assert call("POST", "/v1/clicks", event)["statusCode"] == 200
    put = stored(names["CLICKS"])
    minutes = {each["received_at"] // 60_000 for each in put}  # its identity is for a minute
    ids = [json.loads(each["body"])["events"][0]["event_id"] for each in put]
    assert [each[:5] for each in ids] == ["anon-", "anon-"]
    assert len(set(ids)) == len(minutes)
    answer = call("POST", "/v1/telemetry", json.dumps(sample(truck_id="T7")), authorization="Bearer secret-of-T1")
    assert answer["statusCode"] == 200


def test_the_rest_is_as_in_the_box(call: Call) -> None:
    """Refusals, preflight, pixel, script, health."""
    assert call("POST", "/v1/clicks", "no")["statusCode"] == 400
    assert call("GET", "/nowhere")["statusCode"] == 404
    assert call("GET", "/v1/clicks")["statusCode"] == 405
    assert call("OPTIONS", "/v1/clicks")["statusCode"] == 204
    assert call("POST", "/v1/clicks", b"x" * (1024 * 1024 + 1))["statusCode"] == 413
    pixel = call("GET", "/v1/pixel.gif", query="event_type=page_view&page=p")
    assert base64.b64decode(pixel["body"])[:6] == b"GIF89a"
    assert json.loads(call("GET", "/healthz")["body"])["status"] == "ok"
    assert "javascript" in call("GET", "/beacon.js")["headers"]["content-type"]
