"""The read API: its document, its pages, its live stream and its limits."""

import json
import socket
import time

import httpx
import jsonschema
import pytest

from collector import queries
from console import openapi
from console.fleet_events import MOST_STREAMS
from contract.errors import Retryable
from tests.collector.stores_on_disk import Collector
from tests.console.records import placed


def test_the_document_is_the_checked_in_one() -> None:
    assert json.loads(openapi.FILE.read_text()) == openapi.document(), "run `python -m console.openapi`"


def test_every_answer_fits_the_document_and_no_route_is_missing_in_it(url: str) -> None:
    paths = openapi.document()["paths"]
    for path, operations in paths.items():
        content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if schema := content.get("application/json", {}).get("schema"):
            answer = httpx.get(url + path.replace("{truck_id}", "T2").replace("{session_id}", "s"), timeout=60)
            if path == "/api/v1/plans/{plan_id}":  # tests/console/test_maps.py has one
                assert answer.status_code == 404
                continue
            if path.endswith(
                ("/trips", "/stops", "/fuel")
            ):  # tests/console/test_downloads.py has them with a warehouse
                assert (answer.status_code, "warehouse build" in answer.json()["error"]) == (404, True)
                continue
            assert answer.status_code == 200, path
            jsonschema.validate(answer.json(), schema)


def test_lists_come_in_pages(url: str) -> None:
    whole = httpx.get(f"{url}/api/v1/alerts", timeout=60).json()
    assert (len(whole["alerts"]) >= 2, whole["next"]) == (True, None)
    first = httpx.get(f"{url}/api/v1/alerts?limit=1", timeout=60).json()
    second = httpx.get(f"{url}/api/v1/alerts?limit=1&from={first['next']}", timeout=60).json()
    assert [*first["alerts"], *second["alerts"]] == whole["alerts"][:2]
    assert httpx.get(f"{url}/api/v1/alerts?limit=501", timeout=60).status_code == 422
    assert httpx.get(f"{url}/api/v1/alerts?from=-1", timeout=60).status_code == 422


def test_the_stream_gives_everything_once_and_then_what_changed(url: str, collector: Collector) -> None:
    with httpx.stream("GET", f"{url}/api/v1/events", timeout=60) as answer:
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        first = json.loads(next(lines).removeprefix("data: "))
        assert (first["whole"], [row["truck_id"] for row in first["trucks"]]) == (True, ["T1", "T2"])
        collector.take(placed(11))
        second = json.loads(next(lines).removeprefix("data: "))
        assert (second["whole"], [row["truck_id"] for row in second["trucks"]]) == (False, ["T1"])
    again = httpx.get(f"{url}/api/v1/changes", params={"since": first["cursor"]}, timeout=60).json()
    assert again == second


def test_a_thousand_streams_are_bounded_and_an_honest_truck_is_stored_and_shown_meanwhile(
    url: str, collector: Collector
) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    asked = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    streams = [socket.create_connection((host, int(port)), timeout=30) for _ in range(1_000)]
    try:
        for stream in streams:
            stream.sendall(asked)
        answers = [stream.recv(12)[9:12] for stream in streams]
        assert (answers.count(b"200"), answers.count(b"503")) == (MOST_STREAMS, 1_000 - MOST_STREAMS)
        before = httpx.get(f"{url}/api/v1/changes", timeout=30).json()["cursor"]
        collector.take(placed(30, truck_id="T7"))
        deadline = time.monotonic() + 90
        while not (rows := httpx.get(f"{url}/api/v1/changes", params={"since": before}, timeout=30).json()["trucks"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert [row["truck_id"] for row in rows] == ["T7"]
    finally:
        for stream in streams:
            stream.close()
    deadline = time.monotonic() + 90
    while True:  # the places of those who left are free again
        with httpx.stream("GET", f"{url}/api/v1/events", timeout=30) as answer:
            if answer.status_code == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_read_that_takes_too_long_is_ended(collector: Collector, tmp_path: object) -> None:
    opened = queries.limited_readers(f"sqlite:///{tmp_path}/milepost.db", at_once=1, seconds=0.05)
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Retryable, match="took longer"), opened() as reader:
        reader._db.execute(slow).fetchone()  # type: ignore[union-attr]
    with opened() as first, pytest.raises(Retryable, match="too many"), opened():
        assert first


def test_metrics_name_no_truck_and_count_what_is_there(url: str) -> None:
    text = httpx.get(f"{url}/metrics", timeout=60).text
    assert "T1" not in text
    assert "T2" not in text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["milepost_samples_received_total"]) == 13
    assert float(values['milepost_trucks{state="silent"}']) == 2
    assert float(values['milepost_dead_letters{door="mqtt",field="vehicle_speed"}']) == 1
    assert float(values["milepost_write_queue_records"]) == 7
    assert float(values['milepost_alerts{severity="warning"}']) >= 2
