"""Attacks on a running `milepost up`: it goes on serving an honest truck and an honest shopper, and says what happens.

Attacker and honest clients share one address here, so what is shown is the harder case.
"""

import contextlib
import json
import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.standalone.up import MILEPOST, Up

QUIET = ("--trucks", "0", "--shoppers", "0")
DESCRIPTORS = 1024  # the usual limit of a service, and no more to be had


@pytest.fixture
def limited(up: Up) -> Iterator[Up]:
    """Descriptors of the service are few; this process may have many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    up.descriptors = DESCRIPTORS
    yield up
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def serves(url: str, number: int) -> None:
    """An honest shopper's click is counted, and an honest truck's sample stored."""
    click = {"event_id": f"honest-{number}", "event_type": "click", "item_id": "I1"}
    sample = {"truck_id": "HONEST", "sampled_at": f"2026-01-01T00:00:{number:02d}Z", "vehicle_speed": number}
    for path, record in (("clicks", click), ("telemetry", sample)):
        answer = httpx.post(f"{url}/v1/{path}", json=record, timeout=60, trust_env=False)
        assert answer.json()["receipts"][0]["status"] == "accepted", answer.text


def health(url: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/healthz", timeout=60, trust_env=False)
    return {"code": answer.status_code, **answer.json()}


def address(url: str) -> tuple[str, int]:
    parts = httpx.URL(url)
    assert parts.port
    return parts.host, parts.port


def idle_sockets(where: tuple[str, int], count: int, stack: contextlib.ExitStack) -> None:
    for _ in range(count):
        with contextlib.suppress(OSError):
            stack.enter_context(socket.create_connection(where, timeout=60))


def test_idle_sockets_on_every_door_end_neither_service_nor_broker(limited: Up) -> None:
    """1,100 idle sockets once ended the broker: its watcher took its own lack of descriptors for a dead one."""
    enroll = provisioned(limited.folder)
    ready = limited.start(*QUIET)
    broker = ready["broker_pid"]
    with contextlib.ExitStack() as stack:
        idle_sockets(address(ready["enroll"]), 1100, stack)
        idle_sockets(address(ready["http"]), 1100, stack)
        idle_sockets(("127.0.0.1", enroll["mqtt_port"]), 1100, stack)
        for number in range(3):
            shopper(ready["http"], number)
            time.sleep(0.3)
        assert tls_answers(ready["enroll"])
        told = health(ready["http"])
    assert (told["code"], told["status"]) == (200, "ok")
    assert told["enrollment"]["evicted"] > 0
    assert told["http"]["evicted"] > 0
    assert told["descriptors"]["open"] < told["descriptors"]["limit"] == DESCRIPTORS
    again = limited.ready()
    assert again
    assert again["broker_pid"] == broker
    said = limited.end()
    assert "connection_evicted peer=127.0.0.1" in said
    assert "broker_hung" not in said


def shopper(url: str, number: int) -> None:
    click = {"event_id": f"honest-{number}", "event_type": "click", "item_id": "I1"}
    answer = httpx.post(f"{url}/v1/clicks", json=click, timeout=60, trust_env=False)
    assert answer.json()["receipts"][0]["status"] == "accepted", answer.text


def tls_answers(url: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    answer = httpx.post(f"{url}/v1/enroll", json={"token": "x", "csr": "y"}, verify=context, timeout=60)
    return answer.status_code in (400, 403)


def provisioned(folder: Path) -> dict[str, Any]:
    ports = {"mqtt_port": _free(), "https_port": _free()}
    options = ["--host", "127.0.0.1", "--mqtt-port", str(ports["mqtt_port"]), "--https-port", str(ports["https_port"])]
    options += ["--data-dir", str(folder)]
    done = subprocess.run([*MILEPOST, "provision", "init", *options], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return ports


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_slow_heads_and_slow_bodies_keep_nobody_out(limited: Up) -> None:
    url = limited.start(*QUIET)["http"]
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(address(url), timeout=60)) for _ in range(600)]
        for number, one in enumerate(slow):
            with contextlib.suppress(OSError):
                if number % 2:
                    one.sendall(b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nX-")
                else:
                    one.sendall(b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        serves(url, 1)
        time.sleep(6)  # now the slow bodies may lose their places, too
        for number in range(2, 6):
            serves(url, number)
        told = health(url)["http"]
    assert told["evicted"] >= 300
    assert told["open"] <= told["limit"] < DESCRIPTORS / 2


def test_a_request_that_offers_http2_is_served_whole(up: Up) -> None:
    """Java's HttpClient and `curl --http2` offer it with every first request; the body was lost."""
    url = up.start(*QUIET)["http"]
    body = b'{"event_id":"h2c-1","event_type":"click","item_id":"h2c-item"}'
    head = (
        b"POST /v1/clicks HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAEAAEAA\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    for pieces in ([head + body], [head, body], [head[:90], head[90:] + body[:5], body[5:]]):
        with socket.create_connection(address(url), timeout=60) as peer:
            for piece in pieces:
                peer.sendall(piece)
                time.sleep(0.02)
            answer = b"".join(iter(lambda: peer.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert b'"event_id":"h2c-1"' in answer


def test_a_body_over_the_limit_gets_its_answer_every_time(up: Up) -> None:
    url = up.start(*QUIET)["http"]
    for _ in range(20):
        answer = httpx.post(f"{url}/v1/clicks", content=b" " * 3_000_000, timeout=20, trust_env=False)
        assert answer.status_code == 413
    serves(url, 1)


def test_a_page_in_the_operators_browser_can_write_nothing(up: Up) -> None:
    url = up.start(*QUIET)["http"]
    sample = json.dumps({"truck_id": "F-1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1})
    order = json.dumps({"order_id": "O-1"})
    page = {"origin": "https://evil.example", "content-type": "text/plain"}
    for path, content in (("telemetry", sample), ("orders", order)):
        assert httpx.post(f"{url}/v1/{path}", content=content, headers=page, timeout=60).status_code == 403
    plain = httpx.post(f"{url}/v1/telemetry", content=sample, headers={"content-type": "text/plain"}, timeout=60)
    assert plain.status_code == 415
    assert up.ask("trucks") == []
    rebound = httpx.get(f"{url}/anything", headers={"host": "evil.example"}, timeout=60)
    assert rebound.status_code == 403
    assert httpx.get(f"{url}/healthz", headers={"host": "evil.example"}, timeout=60).json() == {"status": "ok"}


def test_a_flood_of_junk_from_one_source_is_slowed_down_and_others_are_served(up: Up, tmp_path: Path) -> None:
    """Behind a proxy that is trusted, the address that counts is the visitor's."""
    config = tmp_path / "milepost.toml"
    config.write_text('[http]\ntrusted_proxies = ["127.0.0.1"]\n[beacon]\nrate = 0.05\nburst = 20\n')
    url = up.start(*QUIET, "--config", str(config))["http"]
    statuses = []
    for number in range(60):
        click = {"event_id": f"junk-{number}", "event_type": "click", "page": "x" * 1000}
        answer = httpx.post(f"{url}/v1/clicks", json=click, headers={"x-forwarded-for": "203.0.113.5"}, timeout=60)
        statuses.append(answer.status_code)
    assert statuses.count(429) > 20
    assert int(answer.headers["retry-after"]) >= 1
    shopper = {"event_id": "honest", "event_type": "click", "item_id": "I1"}
    honest = httpx.post(f"{url}/v1/clicks", json=shopper, headers={"x-forwarded-for": "203.0.113.6"}, timeout=60)
    assert honest.status_code == 200
    tiny = b'{"events":[%s]}' % b",".join([b'{"event_type":"c"}'] * 300)  # each counts as 100 bytes
    small = [
        httpx.post(f"{url}/v1/clicks", content=tiny, headers={"x-forwarded-for": "203.0.113.7"}, timeout=60).status_code
        for _ in range(2)
    ]
    assert small == [200, 429]
    serves(url, 1)
    assert "clicks_limited peer=203.0.113.5" in up.end()
