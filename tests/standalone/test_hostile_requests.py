"""Single requests that nobody sends by mistake: each is answered or loses its connection, and all others are served."""

import http.client
import itertools
import pathlib
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.standalone.test_attacks import QUIET, address, health, serves
from tests.standalone.up import Up, running

LOCAL = b"Host: localhost\r\n"
MEGABYTE = 1024 * 1024
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all of them, as a service has it: what a request leaves behind is in the next one's way."""
    with running(tmp_path_factory.mktemp("up"), *QUIET) as found:
        yield found


@pytest.fixture
def url(up: Up) -> Iterator[str]:
    ready = up.ready()
    assert ready
    yield ready["http"]
    assert up.log
    assert "Traceback" not in up.log.read_text()
    assert up.process
    assert up.process.poll() is None


def answer(url: str, sent: bytes) -> bytes:
    with socket.create_connection(address(url), timeout=60) as peer:
        peer.sendall(sent)
        return b"".join(iter(lambda: peer.recv(65536), b""))


def answered(peer: socket.socket) -> int:
    """The status of the next answer, read to its end."""
    response = http.client.HTTPResponse(peer)
    response.begin()
    response.read()
    return response.status


def memory(up: Up) -> int:
    """Bytes of the service's memory."""
    assert up.process
    with pathlib.Path(f"/proc/{up.process.pid}/statm").open() as file:
        return int(file.read().split()[1]) * 4096


def sent_until_closed(url: str, beginning: bytes, more: bytes, most: int) -> int:
    """How many bytes it took of an endless request, until it closed the connection or read no more for ten seconds."""
    sent = 0
    with socket.create_connection(address(url), timeout=60) as peer, suppress(OSError):
        peer.settimeout(10)
        peer.sendall(beginning)
        while sent < most:
            peer.sendall(more)
            sent += len(more)
    return sent


def test_odd_requests_get_an_answer_and_leave_no_traceback(url: str) -> None:
    """`CONNECT` once had the parser begin anew for ever, and the whole service with it."""
    body = b'{"event_id":"E1","event_type":"click"}'
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    assert answer(url, b"CONNECT /v1/clicks HTTP/1.1\r\n" + LOCAL + length + body).startswith(b"HTTP/1.1 400")
    assert answer(url, b"CONNECT x:1 HTTP/1.1\r\n" + LOCAL + b"Upgrade: h2c\r\n\r\n").startswith(b"HTTP/1.1 400")
    close = b"Connection: close\r\n"
    for origin in (b"http://[", b"http://a:b:c", b"\xff", b"null", b""):
        head = b"POST /v1/orders HTTP/1.1\r\n" + LOCAL + close + b"Origin: " + origin + b"\r\n" + length
        assert answer(url, head + body).startswith(b"HTTP/1.1 403"), origin
        head = b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + close + b"Referer: " + origin + b"\r\n" + length
        assert answer(url, head + body).startswith(b"HTTP/1.1 200"), origin
    for host in (b"[", b"", b"localhost.", b"evil@localhost", b"localhost\r\nHost: evil"):
        head = b"GET /api/v1/fleet HTTP/1.1\r\nHost: " + host + b"\r\n" + close + b"\r\n"
        assert answer(url, head)[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 400"), host
    serves(url, next(numbers))


@pytest.mark.parametrize("line", [b"a" * 65536, b"X-A: b\r\n" * 8192], ids=["one header", "many headers"])
def test_an_endless_head_loses_its_connection_before_it_costs_memory(up: Up, url: str, line: bytes) -> None:
    """200 MB of headers once took 3 GB."""
    before = memory(up)
    took = sent_until_closed(url, b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"X: ", line, 64 * MEGABYTE)
    assert took < 32 * MEGABYTE  # what the kernel holds is part of it
    assert memory(up) - before < 64 * MEGABYTE
    serves(url, next(numbers))


@pytest.mark.parametrize("line", [b"A: b\r\n" * 8192, b"A: " + b"b" * 60_000 + b"\r\n"], ids=["many", "long"])
def test_what_follows_a_body_is_not_kept(up: Up, url: str, line: bytes) -> None:
    """Trailers became headers of the request, as many as anybody sent."""
    before = memory(up)
    chunked = b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    sent_until_closed(url, chunked, line, 64 * MEGABYTE)
    assert memory(up) - before < 32 * MEGABYTE
    serves(url, next(numbers))


def test_a_head_behind_an_answer_that_nobody_reads_is_bounded_too(up: Up, url: str) -> None:
    before = memory(up)
    asked = (b"GET /beacon.js HTTP/1.1\r\n" + LOCAL + b"\r\n") * 10
    took = sent_until_closed(url, asked + b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 8192, 64 * MEGABYTE)
    assert took < 32 * MEGABYTE
    assert memory(up) - before < 64 * MEGABYTE
    serves(url, next(numbers))


def test_requests_without_reading_an_answer_hold_no_place(url: str) -> None:
    """Thousands of pipelined requests once kept all others waiting for minutes."""
    request = b"GET /beacon.js HTTP/1.1\r\n" + LOCAL + b"\r\n"
    flood = [socket.create_connection(address(url), timeout=60) for _ in range(50)]
    for peer in flood:
        peer.setblocking(False)
        with suppress(OSError):
            while True:
                peer.send(request * 400)
    began = time.monotonic()
    serves(url, next(numbers))
    assert time.monotonic() - began < 60
    deadline = time.monotonic() + 60
    while health(url)["http"]["open"] > 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert health(url)["http"]["open"] <= 3
    for peer in flood:
        peer.close()


def test_a_large_body_is_no_part_of_the_next_head(url: str) -> None:
    event = {"event_type": "click", "properties": {"x": "y" * 20_000}}
    with httpx.Client(timeout=60) as client:  # one connection
        for number in range(3):
            body = {"events": [{**event, "event_id": f"L{number}-{each}"} for each in range(20)]}
            assert client.post(f"{url}/v1/clicks", json=body).status_code == 200
    with socket.create_connection(address(url), timeout=60) as peer:
        body = b'{"event_id":"L9","event_type":"click","title":"' + b"x" * 300_000 + b'"}'
        peer.sendall(b"POST /v1/clicks HTTP/1.1\r\n" + LOCAL + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert answered(peer) == 200
        peer.sendall(b"GET /healthz HTTP/1.1\r\n")
        time.sleep(0.1)
        peer.sendall(LOCAL + b"\r\n")
        assert answered(peer) == 200
