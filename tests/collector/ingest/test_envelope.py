"""What the rules put into a stream comes out as single items."""

import base64
import binascii
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.ingest import items_of_stream_record, unpack
from collector.ingest.validation import payload_of
from contract.codec import Json
from contract.errors import Rejected
from contract.ingest_items import Item
from tests.budget import budget
from tests.contract.examples import RECEIVED_MS, sample


def _record(payload: bytes, **more: Json) -> bytes:
    data = base64.b64encode(payload).decode()
    envelope = {"data": data, "truck_id": "T1", "client_id": "T1", "received_at": RECEIVED_MS}
    return json.dumps({**envelope, **more}).encode()


def test_one_sample_is_one_item() -> None:
    payload = json.dumps(sample()).encode()
    [item] = items_of_stream_record(_record(payload))
    assert (item.kind, item.truck_id, item.received_ms) == ("telemetry", "T1", RECEIVED_MS)
    assert (item.source, item.record, item.text) == ("mqtt:fleet/T1/telemetry", sample(), payload.decode())
    assert item.date_by_arrival


def test_a_batch_is_an_item_a_record_each_with_its_own_text() -> None:
    items = items_of_stream_record(_record(b'{"records":[{"seq":1.0} ,{"seq":2}]}'))
    assert [(item.record, str(item.text)) for item in items] == [({"seq": 1}, '{"seq":1.0}'), ({"seq": 2}, '{"seq":2}')]


@pytest.mark.parametrize("kind", ["report", "status"])
def test_control_messages_say_what_they_are(kind: str) -> None:
    [item] = items_of_stream_record(_record(b'{"records":[1]}', kind=kind))
    assert (item.kind, item.source, item.record) == (kind, f"mqtt:fleet/T1/{kind}", {"records": [1]})


NEARLY_BASE64 = st.one_of(
    st.binary(max_size=12).map(lambda data: base64.b64encode(data).decode()),
    st.binary(max_size=12).map(lambda data: base64.urlsafe_b64encode(data).decode()),
    st.text('AQRgw08+/-_==\n \\"\ud800é', max_size=12),
)


@budget(500, 50_000)
def test_the_payload_is_what_strict_base64_says(examples: int) -> None:
    """Whichever decoder was taken: neither the URL's alphabet nor missing padding nor anything beside it is let in."""

    @settings(max_examples=examples)
    @given(NEARLY_BASE64 | st.lists(NEARLY_BASE64, max_size=3).map("".join))
    @example("")
    @example("QQ==")
    @example("QR==")
    @example("QQ==QQ==")
    @example("-_-_")
    @example("====")
    def check(text: str) -> None:
        record = json.dumps({"data": text, "truck_id": "T1", "received_at": RECEIVED_MS}).encode()
        try:
            expected = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            with pytest.raises(Rejected, match="base64"):
                items_of_stream_record(record)
            return
        [item] = items_of_stream_record(record)
        assert payload_of(item) == expected

    check()


def test_a_payload_that_is_not_json_comes_through_for_the_judge() -> None:
    [item] = items_of_stream_record(_record(b"\xff"))
    assert item.record == b"\xff"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"data":"!","truck_id":"T1","received_at":1}',
        b'{"data":5,"truck_id":"T1","received_at":1}',
        b'{"data":"","truck_id":"T1"}',
        b'{"data":"","truck_id":"T1","received_at":"noon"}',
        b'{"data":"","truck_id":"T1","received_at":null}',
        b'{"data":"","truck_id":"T1","received_at":true}',
        b'{"data":"","truck_id":"T1","received_at":NaN}',
        b'{"data":"","truck_id":"T1","received_at":1e300}',
        b'{"data":"","truck_id":"T1","received_at":-1e300}',
        b'{"data":"","truck_id":null,"received_at":1}',
    ],
)
def test_what_no_rule_writes_is_rejected(data: bytes) -> None:
    with pytest.raises(Rejected, match=r"stream record|JSON"):
        items_of_stream_record(data)


@pytest.mark.parametrize("payload", [b"5", b"[]", b'{"records":5}', b'{"events":[1]}', b'{"records":{"a":1}}'])
def test_what_is_no_batch_of_its_kind_stays_whole(payload: bytes) -> None:
    assert len(unpack(Item("telemetry", "file:telemetry", payload, 0))) == 1


def test_events_are_a_batch_of_clicks() -> None:
    items = unpack(Item("click", "file:clicks", b'{"events":[{"a":1},{"b":2}]}', 0))
    assert [str(item.text) for item in items] == ['{"a":1}', '{"b":2}']
