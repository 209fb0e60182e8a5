"""Firehose's transformation: everything is archived, decoded where that fits an answer, and nothing costs another."""

import base64
import gzip
import json
from typing import Any

from collector.handlers import archive
from collector.ingest.stream_records import bare, open_record
from contract.codec import dump
from tests.collector.streams.test_packing import aggregate
from tests.contract.examples import RECEIVED_MS, click, sample

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/milepost-clicks"


def _archived(datas: list[bytes], context: Any) -> list[dict[str, Any]]:
    records = [
        {
            "recordId": f"{number}",
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": RECEIVED_MS,
        }
        for number, data in enumerate(datas)
    ]
    answers: list[dict[str, Any]] = archive.handler({"sourceKinesisStreamArn": STREAM, "records": records}, context)[
        "records"
    ]
    return answers


def _lines(answer: dict[str, Any]) -> list[Any]:
    return [json.loads(line) for line in base64.b64decode(answer["data"]).decode().splitlines()]


def _request(events: list[Any]) -> bytes:
    body = json.dumps({"events": events}, separators=(",", ":"))
    return json.dumps({"door": "http:clicks", "received_at": RECEIVED_MS, "body": body}).encode()


def test_requests_of_many_tiny_events_push_nothing_else_aside(context: Any) -> None:
    """Each would be many times its size as lines: it is archived as it came, and read from there all the same."""
    tiny = [_request([{} for _ in range(9_000)]) for _ in range(6)]
    ordinary = [_request([click(event_id=f"e{number}")]) for number in range(50)]
    answers = _archived(tiny + ordinary, context)
    assert {answer["result"] for answer in answers} == {"Ok"}
    assert sum(len(answer["data"]) for answer in answers) < 5 * 1024 * 1024
    assert [_lines(answer)[0]["record"]["event_id"] for answer in answers[6:]] == [f"e{n}" for n in range(50)]
    [line] = _lines(answers[0])
    whole = bare(line["text"].encode(), kind="click", arrived_ms=RECEIVED_MS, origin="")
    assert len(open_record(whole)[0]) == 9_000


def test_what_was_packed_is_archived_a_line_a_record(context: Any) -> None:
    """Also what begins as gzip and is none."""
    parts = (dump(sample(seq=1)).encode(), gzip.compress(dump(sample(seq=2)).encode()), b"\x1f\x8bx")
    [answer] = _archived([gzip.compress(aggregate(*parts))], context)
    first, second, broken = _lines(answer)
    assert [line["record"]["seq"] for line in (first, second)] == [1, 2]
    assert base64.b64decode(broken["base64"]) == b"\x1f\x8bx"


def test_a_sending_time_that_is_no_json_is_archived_as_text(context: Any) -> None:
    data = b'{"events":[{"event_id":"e1"},{"event_id":"e2"}],"sent_at":NaN}'
    [answer] = _archived([data], context)
    assert [line["text"] for line in _lines(answer)] == [
        '{"sent_at":NaN,"event_id":"e1"}',
        '{"sent_at":NaN,"event_id":"e2"}',
    ]
