"""POST /v1/clicks and /v1/telemetry, over a real socket."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from collector.beacon import BeaconSettings, create_app, writer_bridge
from collector.beacon.http import MAX_BODY
from tests.collector.beacon.conftest import serve
from tests.collector.beacon.fakes import FakeWriter

DOORS = ["/v1/clicks", "/v1/telemetry"]
VIEW = {"event_type": "view", "item_id": "i1"}
SAMPLE = {"truck_id": "T1", "stream_id": "s", "schema_version": 1}


def post(client: httpx.Client, path: str, document: Any, **headers: str) -> httpx.Response:
    return client.post(path, content=json.dumps(document).encode(), headers=headers)


def test_one_event_gets_one_receipt(client: httpx.Client, writer: FakeWriter) -> None:
    answer = post(client, "/v1/clicks", {**VIEW, "event_id": "one"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "receipts": [{"event_id": "one", "status": "accepted", "field": None, "reason": None}],
    }
    (item,) = writer.items
    assert (item.kind, item.source, item.truck_id) == ("click", "http:clicks", None)
    assert item.record == {**VIEW, "event_id": "one"}


def test_receipts_stand_in_the_order_of_the_batch_with_what_was_wrong(client: httpx.Client) -> None:
    events = [{**VIEW, "event_id": "a"}, {**VIEW, "event_id": "a"}, {**VIEW, "price": "1"}, 7]
    receipts = post(client, "/v1/clicks", {"events": events}).json()["receipts"]
    assert [it["status"] for it in receipts] == ["accepted", "duplicate", "accepted", "rejected"]
    assert list(receipts[2]["warnings"]) == ["price"]
    assert "warnings" not in receipts[0]
    assert "object" in receipts[3]["reason"]


def test_a_record_of_a_batch_keeps_its_own_source_text(client: httpx.Client, writer: FakeWriter) -> None:
    """Dead letters show a record as its producer wrote it, spaces and 1.50 included."""
    client.post("/v1/clicks", content=b'{"events" : [ {"price": 1.50} , {"n":[1, {}]} ]}')
    assert [str(item.text) for item in writer.items] == ['{"price": 1.50}', '{"n":[1, {}]}']
    writer.items.clear()
    client.post("/v1/clicks", content=b' {"price": 1.50} ')
    assert writer.items[0].text == ' {"price": 1.50} '


@pytest.mark.parametrize("media", ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"])
def test_the_content_type_does_not_matter(client: httpx.Client, media: str) -> None:
    answer = post(client, "/v1/clicks", VIEW, **{"content-type": media})
    assert answer.json()["receipts"][0]["status"] in ("accepted", "duplicate")


def test_an_empty_batch_is_answered_without_the_writer(client: httpx.Client, writer: FakeWriter) -> None:
    writer.mode = "fails"
    assert post(client, "/v1/clicks", {"events": []}).json() == {"receipts": []}


def test_samples_get_receipts_by_seq_and_nobody_vouches_without_keys(client: httpx.Client, writer: FakeWriter) -> None:
    samples = [{**SAMPLE, "seq": 4}, {**SAMPLE, "seq": 5, "vehicle_speed": -1}]
    answer = post(client, "/v1/telemetry", {"records": samples})
    assert [(it["seq"], it["status"], it["field"]) for it in answer.json()["receipts"]] == [
        (4, "accepted", None),
        (None, "rejected", "vehicle_speed"),
    ]
    assert {(item.kind, item.source, item.truck_id) for item in writer.items} == {("telemetry", "http:telemetry", None)}


GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "words": b"not json",
    "half": b'{"event_id": "a"',
    "list": b"[1]",
    "number": b"7",
    "null": b"null",
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "deep": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "very deep": b"[" * 500_000,
    "nul": b"\x00\x00\x00",
}


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_with_the_remedy_and_kept(
    client: httpx.Client, writer: FakeWriter, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"error", "field"}
    assert "send one" in answer.json()["error"]
    assert [(item.record, item.source) for item in writer.items] == ([(body, f"http:{path[4:]}")] if body else [])


def test_of_a_document_that_breaks_off_the_answer_says_where(client: httpx.Client, writer: FakeWriter) -> None:
    answer = client.post("/v1/telemetry", content=b'{"records":[\n {"truck_id": "T1",}\n]}')
    assert "at line 2, column " in answer.json()["error"]
    writer.mode = "fails"
    assert client.post("/v1/telemetry", content=b"{half").status_code == 503, "what is not kept is not refused for good"


@pytest.mark.parametrize("media", [None, "application/x-ndjson", "text/plain"])
def test_of_json_lines_a_broken_one_costs_itself(client: httpx.Client, writer: FakeWriter, media: str | None) -> None:
    """A line may be a batch; blank lines count as lines."""
    lines = [
        b'{"event_id":"l1"}',
        b"",
        b'{"event_id":"l2",',
        b"nonsense",
        b'{"events":[{"event_id":"l3"},7]}\r',
        b'{"event_id":"l4"}',
    ]
    headers = {"content-type": media} if media else {}
    receipts = client.post("/v1/clicks", content=b"\n".join(lines), headers=headers).json()["receipts"]
    assert [it["event_id"] for it in receipts] == ["l1", None, None, "l3", None, "l4"]
    assert [it["status"] == "rejected" for it in receipts] == [False, True, True, False, True, False]
    assert [it["reason"].partition(":")[0] for it in receipts if it["reason"]] == ["line 3", "line 4", "line 5"]
    assert writer.items[1].record == lines[2]


@pytest.mark.parametrize(
    "body",
    [
        b'{"events":[\n{"event_id":"a"}\n{"event_id":"b"}\n]}',
        json.dumps({"events": [VIEW, VIEW]}, indent=1).encode()[:-1],
    ],
)
def test_a_broken_document_over_several_lines_is_not_taken_for_json_lines(
    client: httpx.Client, writer: FakeWriter, body: bytes
) -> None:
    assert client.post("/v1/clicks", content=body).status_code == 400
    assert [item.record for item in writer.items] == [body]


def test_json_lines_may_hold_as_many_records_as_a_batch(client: httpx.Client) -> None:
    answer = client.post("/v1/clicks", content=b"{}\n" * 10_001)
    assert (answer.status_code, answer.json()["field"]) == (413, "events")


@pytest.mark.parametrize(("path", "key"), [("/v1/clicks", "events"), ("/v1/telemetry", "records")])
@pytest.mark.parametrize("batch", [None, {}, "x", 1])
def test_a_batch_that_is_no_list_is_refused_by_name(client: httpx.Client, path: str, key: str, batch: Any) -> None:
    answer = post(client, path, {key: batch})
    assert (answer.status_code, answer.json()["field"]) == (400, key)


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "1e400", '"\\ud800"', "[[[]]]", "9" * 400, pytest.param("9" * 10_000, id="10,000 digits")],
)
def test_a_strange_value_harms_only_its_own_field(client: httpx.Client, value: str) -> None:
    body = f'{{"events": [{{"event_id": "x", "event_type": "view", "price": {value}}}, {{"event_type": "view"}}]}}'
    receipts = client.post("/v1/clicks", content=body.encode()).json()["receipts"]
    assert receipts[0]["status"] in ("accepted", "duplicate")
    assert list(receipts[0]["warnings"]) == ["price"]
    assert receipts[1]["status"] in ("accepted", "duplicate")


def test_a_lone_surrogate_is_rejected_by_field_or_kept_and_breaks_no_answer(client: httpx.Client) -> None:
    for field, status in (("event_id", "rejected"), ("some_key", "accepted")):
        answer = client.post("/v1/clicks", content=f'{{"event_type": "view", "{field}": "\\ud800"}}'.encode())
        assert answer.json()["receipts"][0]["status"] == status


@pytest.mark.parametrize("path", DOORS)
def test_a_body_of_the_limit_passes_and_one_byte_more_does_not(client: httpx.Client, path: str) -> None:
    assert client.post(path, content=b"{}".ljust(MAX_BODY)).status_code == 200
    answer = client.post(path, content=b"{}".ljust(MAX_BODY + 1))
    assert answer.status_code == 413
    assert "several requests" in answer.json()["error"]


def test_a_declared_oversize_is_refused_before_it_is_sent(base_url: str, writer: FakeWriter) -> None:
    with _connected(base_url) as peer:
        peer.sendall(b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert _all(peer).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_oversize_is_refused_and_not_read_on(base_url: str, writer: FakeWriter) -> None:
    """Without an end in sight, the server answers and hangs up after the limit; it does not swallow the stream."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with _connected(base_url) as peer:
        peer.sendall(b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            for _ in range(1000):
                sent += peer.send(chunk)
        except OSError:  # it hung up
            pass
        assert sent < 20 * MAX_BODY

    def pieces() -> Iterator[bytes]:
        yield from [b" " * 70_000] * 16

    with httpx.Client(base_url=base_url, trust_env=False, timeout=60) as client:
        assert client.post("/v1/clicks", content=pieces()).status_code == 413


def test_a_chunked_body_below_the_limit_is_read_whole(client: httpx.Client) -> None:
    body = json.dumps({"events": [VIEW] * 3000}).encode()
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    assert len(client.post("/v1/clicks", content=pieces).json()["receipts"]) == 3000


def test_a_megabyte_of_tiny_records_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/clicks", content=b'{"events":[' + b"1," * 30_000 + b"1]}")
    assert (answer.status_code, answer.json()["field"]) == (413, "events")


def test_a_client_that_hangs_up_half_way_harms_nobody(base_url: str, client: httpx.Client, writer: FakeWriter) -> None:
    with _connected(base_url) as peer:
        peer.sendall(b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
    assert post(client, "/v1/clicks", VIEW).status_code == 200
    assert len(writer.items) == 1


@pytest.mark.parametrize("mode", ["is full", "fails"])
@pytest.mark.parametrize("path", DOORS)
def test_what_is_not_durable_is_not_acknowledged(
    client: httpx.Client, writer: FakeWriter, path: str, mode: Any
) -> None:
    writer.mode = mode
    answer = post(client, path, VIEW)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]


def test_a_writer_that_never_answers_is_a_503_and_keeps_its_future(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The future is not cancelled: a group commit must not stumble over a request that has given up."""
    monkeypatch.setattr(writer_bridge, "ACK_SECONDS", 0.2)
    app = create_app(writer.submit, settings=BeaconSettings())
    with serve(app) as url, httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        for _ in range(2):
            assert post(client, "/v1/clicks", VIEW).status_code == 200
            writer.mode = "hangs"
            assert post(client, "/v1/clicks", VIEW).status_code == 503
            writer.mode = "commits"
    assert not any(future.cancelled() for future in writer.held)


def test_requests_of_one_commit_are_all_answered_each_with_its_own(client: httpx.Client, writer: FakeWriter) -> None:
    """The writer finishes many futures at once and in any order; the loop is woken once for all of them."""
    with ThreadPoolExecutor(16) as pool:
        ids = [f"many-{n}" for n in range(200)]
        answers = list(pool.map(lambda id: post(client, "/v1/clicks", {**VIEW, "event_id": id}), ids))
    assert [answer.json()["receipts"][0]["event_id"] for answer in answers] == ids


def test_a_page_of_any_origin_may_post_and_read_the_answer(client: httpx.Client, writer: FakeWriter) -> None:
    for body in (b"{}", b"garbage"):
        answer = client.post("/v1/clicks", content=body, headers={"Origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/v1/clicks", headers=asked)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Content-Type" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer no-such-key", "Basic key-of-truck-1", "key-of-truck-1"])
def test_with_keys_configured_a_stranger_is_turned_away(
    keyed: httpx.Client, writer: FakeWriter, header: str | None
) -> None:
    answer = post(keyed, "/v1/telemetry", SAMPLE, **({"authorization": header} if header else {}))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "key-of-truck" not in answer.text
    assert writer.items == []


def test_a_key_vouches_for_its_own_truck_alone(keyed: httpx.Client, writer: FakeWriter) -> None:
    own, other = {**SAMPLE, "seq": 1}, {**SAMPLE, "seq": 1, "truck_id": "T2"}
    answer = post(keyed, "/v1/telemetry", {"records": [own, other]}, authorization="bearer key-of-truck-1")
    assert [it["status"] for it in answer.json()["receipts"]] == ["accepted", "rejected"]
    assert [item.truck_id for item in writer.items] == ["T1", "T1"]


def test_clicks_need_no_key(keyed: httpx.Client, writer: FakeWriter) -> None:
    assert post(keyed, "/v1/clicks", VIEW).status_code == 200


def _connected(base_url: str) -> socket.socket:
    url = httpx.URL(base_url)
    return socket.create_connection((url.host, url.port or 80), timeout=10)


def _all(peer: socket.socket) -> bytes:
    received = b""
    while piece := peer.recv(65536):
        received += piece
    return received
