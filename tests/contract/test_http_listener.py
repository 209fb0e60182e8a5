"""The listener's time limits: each ends a connection that is over it, names its address, and leaves others alone."""

import contextlib
import logging
import socket
import time
from typing import Any

import pytest

from contract.http_connections import ListenerLimits
from tests.contract.listening import listening
from tests.waiting import until

LARGE = 64 * 1024 * 1024
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def large_answer(scope: Any, receive: Any, send: Any) -> None:
    """More than a kernel holds for a client that does not read; / is answered at once."""
    size = LARGE if scope["path"] == "/large" else 2
    headers = [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(max(1, size // (1 << 20))):
        await send({"type": "http.response.body", "body": b"x" * min(size, 1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def answered(where: tuple[str, int]) -> bool:
    with socket.create_connection(where, timeout=10) as peer:
        peer.sendall(HEAD)
        return peer.recv(100).startswith(b"HTTP/1.1 200")


def ended_after(peer: socket.socket, seconds: float) -> float:
    """Seconds until the other side has ended a connection; nothing of what came before is read."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(0.05)
        try:
            peer.send(b" ")
        except OSError:
            return time.monotonic() - began
    raise AssertionError(f"open after {seconds:g} s")


@pytest.mark.parametrize("stall", [1.0, pytest.param(ListenerLimits().stall, marks=pytest.mark.prove)])
def test_an_answer_that_nobody_reads_ends_its_connection_within_the_limit(
    stall: float, caplog: pytest.LogCaptureFixture
) -> None:
    """20 seconds as it is shipped (the long form), and not before: a slow line reads a little all the time."""
    assert ListenerLimits().stall == 20
    caplog.set_level(logging.WARNING)
    with listening(large_answer, ListenerLimits(stall=stall)) as (listener, where):
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.bind(("127.0.0.9", 0))
            peer.connect(where)
            peer.sendall(HEAD.replace(b" / ", b" /large "))
            assert answered(where)
            lasted = ended_after(peer, stall + 10)
        assert lasted > stall * 0.8
        assert answered(where)
        assert listener.open_connections.figures()["timed_out"] == 1
    assert "connection_timed_out peer=127.0.0.9 reason='answer not read'" in caplog.text


def test_a_slow_reader_keeps_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    """It takes longer than the limit for the whole, and never as long without reading."""
    with listening(large_answer, ListenerLimits(stall=1.0)) as (listener, where):
        with socket.create_connection(where, timeout=10) as peer:
            peer.sendall(HEAD.replace(b" / ", b" /large "))
            got, began = 0, time.monotonic()
            while piece := peer.recv(1 << 20):
                got += len(piece)
                if time.monotonic() - began < 2.5:
                    time.sleep(0.02)
                if got >= LARGE:
                    break
            assert time.monotonic() - began > 1.2
        assert got >= LARGE
        assert listener.open_connections.figures()["timed_out"] == 0


@pytest.mark.parametrize(
    ("sent", "limits", "reason"),
    [
        (b"", ListenerLimits(head=0.5), "head"),
        (b"GET / HTTP/1.1\r\nX-", ListenerLimits(head=0.5), "head"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", ListenerLimits(stall=0.5), "stall"),
    ],
)
def test_silence_ends_within_its_limit(
    sent: bytes, limits: ListenerLimits, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(large_answer, limits) as (listener, where), socket.create_connection(where, timeout=10) as peer:
        peer.sendall(sent)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while peer.recv(1000):
                pass
        assert 0.4 < time.monotonic() - began < 60
        assert listener.open_connections.figures()["open"] == 0
    assert f"connection_timed_out peer=127.0.0.1 reason={reason!r}" in caplog.text


def test_a_body_that_trickles_ends_within_the_limit_for_a_whole_one(caplog: pytest.LogCaptureFixture) -> None:
    with (
        listening(large_answer, ListenerLimits(stall=0.8, body=1.5)) as (_, where),
        socket.create_connection(where) as peer,
    ):
        peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert ended_after(peer, 10) > 1.0
    assert "reason='body'" in caplog.text


def test_who_goes_on_sending_a_refused_body_is_hung_up_on_and_not_left_waiting() -> None:
    """Each time: a connection that was only shut down, and not aborted, sometimes held its client for a minute."""
    endless = (b"10000\r\n" + b" " * 0x10000 + b"\r\n") * 1000
    with listening(large_answer, ListenerLimits()) as (listener, where):
        for _ in range(20):
            with socket.create_connection(where, timeout=60) as peer:
                peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                with pytest.raises(ConnectionError):
                    peer.sendall(endless)
        until(lambda: listener.open_connections.figures()["open"] == 0)
