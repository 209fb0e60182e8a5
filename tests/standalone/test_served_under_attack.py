"""Each attack on a running box, while an honest truck by MQTT, one by HTTP, shoppers and a newcomer use it.

Every attack comes from an address of its own, which must be in the log; `/healthz` says ok during it and after it; and
at the end everything that an honest client was told to be accepted is in the store, once.
"""

import contextlib
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from agent.enrollment.csr import new_key, signing_request
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.mosquitto import MOSQUITTO
from tests.standalone.box import SETTINGS, SHOP, Box, client, connected, now
from tests.standalone.test_attacks import provisioned
from tests.standalone.up import Up
from tests.waiting import until

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
DESCRIPTORS = 1024  # the usual limit of a service, and no more to be had: a door has 384 places
QUIET = ("--trucks", "0", "--shoppers", "0")
LOCAL = b"Host: localhost\r\n"
REMOTE = {"host": SHOP}


def opened(folder: Path, settings: str = SETTINGS, *, descriptors: int | None = DESCRIPTORS) -> Box:
    """A box in this folder, whose honest truck is connected."""
    up = Up(folder / "data", descriptors=descriptors, log=folder / "up.log")
    provisioned(up.folder)
    (folder / "milepost.toml").write_text(settings)
    ready = up.start(*QUIET, "--config", str(folder / "milepost.toml"))
    box = Box(up, ready, LocalRegistry(up.folder, ProvisioningSettings()), folder)
    box.start_truck()
    return box


def closed(box: Box) -> None:
    box.truck.close()
    box.registry.close()
    if box.up.process and box.up.process.poll() is None:
        box.up.process.kill()
        box.up.process.communicate()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One for all attacks, as a service has it. This process may have many descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    found = opened(tmp_path_factory.mktemp("box"))
    yield found
    closed(found)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@dataclass(frozen=True)
class Attack:
    """run: takes the box, the attacker's address and what closes its sockets. told: the line in the log that must name
    the address."""

    run: Callable[[Box, str, contextlib.ExitStack], None]
    told: str


def attempt(where: tuple[str, int], source: str, sent: bytes, stack: contextlib.ExitStack) -> socket.socket | None:
    """A socket that has sent this, and stays open; None where it was turned away."""
    with contextlib.suppress(OSError):
        one = stack.enter_context(connected(where, source))
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.sendall(sent)
        return one
    return None


def idle_http(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    for _ in range(1100):
        attempt(box.http, source, b"", stack)


def idle_enrollment(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    for _ in range(1100):
        attempt(box.enroll, source, b"", stack)


def idle_tls(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    """200 whole handshakes and then silence once ended enrollment; here more than the door has places."""
    for _ in range(400):
        with contextlib.suppress(OSError):
            stack.enter_context(careless().wrap_socket(connected(box.enroll, source)))


def careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def idle_mqtt(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    for _ in range(600):
        attempt(box.mqtts, source, b"", stack)


def slow_heads(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    for _ in range(600):
        attempt(box.http, source, b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"X-", stack)


def slow_bodies(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    head = b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"Content-Length: 1000\r\n\r\n{"
    held = [attempt(box.http, source, head, stack) for _ in range(280)]  # three quarters of the places, and no more
    time.sleep(5.5)
    held += [attempt(box.http, source, head, stack) for _ in range(280)]


def unread_answers(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    ask = b"GET /beacon.js HTTP/1.1\r\n" + LOCAL + b"\r\n"
    for _ in range(50):
        attempt(box.http, source, ask * 2000, stack)


def endless_head(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    one = stack.enter_context(connected(box.http, source))
    with contextlib.suppress(OSError):
        one.sendall(b"POST /v1/clicks HTTP/1.1\r\nX: " + b"a" * 16_000_000)


def endless_body(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    one = stack.enter_context(connected(box.http, source))
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with contextlib.suppress(OSError):
        one.sendall(b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            one.sendall(chunk)


def bodies_over_the_limit(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    with client(source) as attacker:
        for _ in range(10):
            assert attacker.post(f"{box.ready['http']}/v1/clicks", content=b" " * 3_000_000).status_code == 413


def odd_requests(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    length = b"Content-Length: 2\r\n\r\n{}"
    for head in (
        b"CONNECT /v1/clicks HTTP/1.1\r\n" + LOCAL + length,
        b"\x16\x03\x01\0\0\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        for _ in range(20):
            attempt(box.http, source, head, stack)


def junk(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    with client(source) as attacker:
        statuses = [
            attacker.post(
                f"{box.ready['http']}/v1/clicks",
                json={"event_id": f"junk-{n}", "event_type": "click", "page": "x" * 1000},
                headers=REMOTE,
            ).status_code
            for n in range(150)
        ]
    assert statuses.count(429) > 50


def foreign_pages(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    page = {"origin": "https://evil.example", "content-type": "text/plain"}
    with client(source) as attacker:
        for path in ("telemetry", "orders"):
            assert attacker.post(f"{box.ready['http']}/v1/{path}", content="{}", headers=page).status_code == 403


def rebinding(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    with client(source) as attacker:
        for path in ("/api/v1/fleet", "/metrics", "/", "/api/v1/changes"):
            assert attacker.get(f"{box.ready['http']}{path}", headers={"host": "evil.example"}).status_code == 403


def guessed_keys(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    with client(source) as attacker:
        statuses = {
            attacker.post(
                f"{box.ready['http']}/v1/telemetry",
                json={"truck_id": "H1", "stream_id": "s", "seq": 1, "sampled_at": now(), "vehicle_speed": 99},
                headers={**REMOTE, "authorization": f"Bearer guess-{n:020d}"},
            ).status_code
            for n in range(60)
        }
    assert statuses == {401, 429}


def h2c(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    body = b'{"event_id":"\\u0000","event_type":"click"}'
    head = b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    head += b"HTTP2-Settings: AAEAAEAA\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(50):
        attempt(box.http, source, (head + body) * 10, stack)


def odd_ids(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    with client(source) as attacker:
        for text in ("\\u0000", "\\ud800", "a\\u0000b"):
            body = f'{{"event_id":"{text}","event_type":"click"}}'
            answer = attacker.post(f"{box.ready['http']}/v1/clicks", content=body.encode())
            assert answer.json()["receipts"][0]["field"] == "event_id"
        for raw in (b"\xff\xfe", b'{"event_id":"\xff"}', b"[" * 100_000):
            assert attacker.post(f"{box.ready['http']}/v1/clicks", content=raw).status_code == 400


def guessed_tokens(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    statuses = {enroll(box, source, {"token": f"mpe_{n}", "csr": signing_request(new_key())}) for n in range(40)}
    assert statuses == {403, 429}


def enroll(box: Box, source: str, fields: dict[str, str]) -> int:
    transport = httpx.HTTPTransport(local_address=source, verify=careless())
    with httpx.Client(transport=transport, timeout=60) as attacker:
        return attacker.post(f"{box.ready['enroll']}/v1/enroll", json=fields).status_code


def odd_enrollments(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    bodies = (b"", b"[]", b"[" * 30_000, b'{"token":"\\ud800","csr":"x"}', b"\xff", b"x" * 40_000)
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source, verify=careless()), timeout=60) as attacker:
        for body in bodies:
            assert attacker.post(f"{box.ready['enroll']}/v1/enroll", content=body).status_code in (400, 413)


def strangers_by_mqtt(box: Box, source: str, stack: contextlib.ExitStack) -> None:
    """Without a certificate, in plain text, and by what is no MQTT."""
    for sent in (
        bytes.fromhex("100c00044d51545404020000000a0000"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + b"\xff" * 500,
    ):
        for _ in range(20):
            attempt(box.mqtts, source, sent, stack)
    for _ in range(20):
        with contextlib.suppress(OSError):
            stack.enter_context(careless().wrap_socket(connected(box.mqtts, source)))


ATTACKS = {
    "1 idle sockets, HTTP": Attack(idle_http, "connection_evicted"),
    "1 idle sockets, enrollment": Attack(idle_enrollment, "connection_evicted"),
    "1 idle TLS, enrollment": Attack(idle_tls, "connection_evicted"),
    "1 idle sockets, MQTT": Attack(idle_mqtt, "connection_anonymous"),
    "1 slow heads": Attack(slow_heads, "connection_evicted"),
    "1 slow bodies": Attack(slow_bodies, "connection_evicted"),
    "1 unread answers": Attack(unread_answers, "connection_ended"),
    "1 endless head": Attack(endless_head, "connection_ended"),
    "1 odd requests": Attack(odd_requests, "request_malformed"),
    "2 junk clicks": Attack(junk, "clicks_limited"),
    "3 pages of other sites": Attack(foreign_pages, "request_refused"),
    "3 a name that leads to this machine": Attack(rebinding, "request_refused"),
    "3 guessed keys": Attack(guessed_keys, "telemetry_key_refused"),
    "4 h2c": Attack(h2c, "event_rejected"),
    "5 bodies over the limit": Attack(bodies_over_the_limit, "request_refused"),
    "5 endless body": Attack(endless_body, "connection_ended"),
    "6 odd ids": Attack(odd_ids, "event_rejected"),
    "6 odd enrollments": Attack(odd_enrollments, "request_refused"),
    "6 guessed tokens": Attack(guessed_tokens, "enrolment_denied"),
    "strangers by MQTT": Attack(strangers_by_mqtt, "connection_anonymous"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_honest_clients_are_served_meanwhile_and_the_attacker_is_named(box: Box, name: str) -> None:
    attack, source = ATTACKS[name], f"127.0.0.{100 + list(ATTACKS).index(name)}"
    broker = box.ready["broker_pid"]
    with box.served(), contextlib.ExitStack() as stack:
        attack.run(box, source, stack)
        box.serves_each()
        told = box.health()
    assert (told["code"], told["status"]) == (200, "ok")
    assert told["http"]["open"] <= told["http"]["limit"]
    until(lambda: any(attack.told in line and f"peer={source}" in line for line in box.said.splitlines()))
    now_ready = box.up.ready()
    assert now_ready
    assert now_ready["broker_pid"] == broker
    assert (box.health()["code"], box.health()["status"]) == (200, "ok")
    assert "Traceback" not in box.said


def test_after_all_attacks_everything_that_was_accepted_is_there_once(box: Box) -> None:
    """Last: of what the honest clients of all tests above were told."""
    with box.served():
        box.serves_each()
    box.holds_all_that_was_sent()


def test_who_uses_up_the_days_quota_shuts_neither_shop_nor_trucks(tmp_path: Path) -> None:
    box = opened(tmp_path, SETTINGS.replace("burst = 40", "burst = 9000\nquota_mb_per_day = 10"))
    try:
        with box.served():
            with client("127.0.0.200") as attacker:
                for number in range(115):
                    junk = {"event_id": f"J{number}", "event_type": "click", "title": "x" * 100_000}
                    answer = attacker.post(f"{box.ready['http']}/v1/clicks", json=junk, headers=REMOTE)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert box.health()["status"] == "ok"
            assert box.health()["over_quota"] > 0
            box.serves_each()
        box.holds_all_that_was_sent()
        assert "clicks_over_quota peer=127.0.0.200" in box.said
    finally:
        closed(box)


@pytest.mark.prove
@pytest.mark.usefixtures("box")  # which lets this process open as many
def test_a_broker_whose_places_are_all_taken_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    """For longer than its supervisor's patience of 30 s; the truck that is connected is served.

    mosquitto's max_connections counts clients; sockets that never become one are bounded by its descriptors alone.
    """
    box = opened(tmp_path)
    try:
        with contextlib.ExitStack() as stack:
            held = [attempt(box.mqtts, "127.0.0.202", b"", stack) for _ in range(DESCRIPTORS)]
            assert sum(one is not None for one in held) > DESCRIPTORS // 2
            for _ in range(40):
                box.send()
                time.sleep(1)
            told = box.health()
            assert (told["code"], told["broker"]["full"]) == (503, 1)
            assert "no descriptor left" in told["reason"]
        now_ready = box.up.ready()
        assert now_ready
        assert now_ready["broker_pid"] == box.ready["broker_pid"]
        until(lambda: box.health()["code"] == 200)
        with box.served():
            box.serves_each()
        box.holds_all_that_was_sent()
    finally:
        closed(box)


def test_where_the_disk_is_nearly_full_clicks_wait_and_trucks_do_not(tmp_path: Path) -> None:
    """Nothing is acknowledged and then dropped: the page keeps its event and is told when to come again."""
    box = opened(tmp_path, f"{SETTINGS}free_mb = 1e12\n")
    try:
        with client("127.0.0.201") as shopper:
            click = {"event_id": "E1", "event_type": "click"}
            answer = shopper.post(f"{box.ready['http']}/v1/clicks", json=click, headers=REMOTE)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        for _ in range(10):
            box.send()
            box.post()
        assert box.health()["without_room"] == 1
        box.holds_all_that_was_sent()
        assert "clicks_without_room peer=127.0.0.201" in box.said
    finally:
        closed(box)
