"""Requests that come together, break off or have nonsense behind them: each whole one gets its own answer."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from contract.http_connections import ListenerLimits
from tests.contract.listening import listening
from tests.waiting import until

END = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
UNFINISHED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
BROKEN = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path, after a moment where that is slow: by then all that was sent has been read."""
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    if message["type"] != "http.request":
        return
    body = scope["path"].encode()
    if scope["path"].startswith("/slow"):
        await asyncio.sleep(0.3)
    endless = scope["path"] == "/endless"
    headers = [] if endless else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": endless})
    while endless and message["type"] == "http.request":
        message = await receive()


def whole(number: int) -> bytes:
    return b"GET /slow/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whoever breaks off must not fill the log with faults of ours."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def answers(where: tuple[str, int], sent: bytes, *, half_closed: bool = False) -> list[bytes]:
    """The bodies of all answers until the other side ends the connection."""
    with socket.create_connection(where, timeout=60) as peer:
        peer.sendall(sent)
        if half_closed:
            peer.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := peer.recv(65536):
                said += piece
    return [part.partition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("behind", [b"", UNFINISHED, b"GET /slow"])
def test_who_sends_no_more_still_gets_the_answers_to_what_came_whole(behind: bytes) -> None:
    """It once got none, though its events were stored, and the log a traceback each time."""
    with listening(echo, ListenerLimits()) as (_, where):
        assert answers(where, whole(1) + behind, half_closed=True) == [b"/slow/1"]
        assert answers(where, whole(1) + whole(2) + behind, half_closed=True) == [b"/slow/1", b"/slow/2"]
        assert answers(where, behind, half_closed=True) == []


def test_a_stream_without_an_end_hears_that_its_reader_has_gone() -> None:
    with listening(echo, ListenerLimits()) as (listener, where), socket.create_connection(where, timeout=60) as peer:
        peer.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 200")
        peer.shutdown(socket.SHUT_WR)
        until(lambda: listener.open_connections.figures()["open"] == 0)


@pytest.mark.parametrize("nonsense", [b"NONSENSE\r\n\r\n", BROKEN, b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_nonsense_takes_no_answer_of_the_requests_before_it(nonsense: bytes) -> None:
    """400 once stood where the receipt of an event was due, and told its sender never to send it again."""
    with listening(echo, ListenerLimits()) as (_, where):
        assert answers(where, whole(1) + nonsense + whole(2)) == [b"/slow/1"]
        assert answers(where, whole(1) + whole(2) + nonsense) == [b"/slow/1", b"/slow/2"]
        (refused,) = answers(where, nonsense)
        assert b"/slow" not in refused


def test_a_request_that_stalls_behind_another_one_ends_within_the_limit_too() -> None:
    """The answer before it once lifted all limits: such connections held their places for ever."""
    with listening(echo, ListenerLimits(stall=0.5)) as (_, where):
        assert answers(where, whole(1) + UNFINISHED) == [b"/slow/1"]


def test_too_many_requests_at_once_end_the_connection_and_are_no_fault_of_ours() -> None:
    with listening(echo, ListenerLimits(pipelined=3)) as (_, where):
        assert len(answers(where, b"".join(map(whole, range(9))))) < 9
        assert answers(where, END) == [b"/"]
