"""The TCP line between trucks and broker, with the faults that lines have.

A proxy on a free port of this machine. Bytes are held back, slowed, swallowed or cut off as it is told; MQTT packets of
a line without TLS can also be doubled and put out of order. What it cannot do is lose a single TCP segment: that is
done by a link between two network namespaces (simulator.scenario.network_namespace).
"""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random
from typing import Any, Self

_CHUNK = 16_384
_RETRY_S = 0.02
_PUBLISH = 3
_HELD_BACK_S = 0.3


@dataclass(slots=True)
class Faults:
    """What is wrong with the line now. Nothing is, as it comes.

    delay: seconds added to each piece, each way. rate: bytes a second for each connection and way, 0 without limit.
    silent: nothing comes through and connections stay open, as over a dead link. closed: connections are refused.
    cut: odds for each piece that its connection breaks off. double, reorder: odds for each PUBLISH towards the broker
    that it is sent twice, or held back behind those that follow.
    """

    delay: float = 0.0
    rate: float = 0.0
    silent: bool = False
    closed: bool = False
    cut: float = 0.0
    double: float = 0.0
    reorder: float = 0.0


@dataclass(slots=True)
class Done:
    """What the line really did: proof that a fault was there."""

    connections: int = 0
    silent_seconds: float = 0.0
    cut: int = 0
    doubled: int = 0
    reordered: int = 0


class Line:
    """Use as a context; `faults` may be changed at any moment, from any thread. sealed: TLS goes over it, so that
    packets cannot be told apart. at: the address of this machine on which it listens."""

    def __init__(self, host: str, port: int, seed: int, *, sealed: bool, at: str = "127.0.0.1") -> None:
        self._target, self.at = (host, port), at
        self._sealed = sealed
        self._dice = Random(seed)
        self.faults, self.done = Faults(), Done()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._await(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut_all(self) -> None:
        """Break every connection off."""
        self._await(self._cut_all())

    def later(self, seconds: float, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Write to a connection after so many seconds, where it still lives; to be called in the line's own thread."""
        self._loop.call_later(seconds, lambda: None if writer.is_closing() else writer.write(data))

    def _await(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.at, self.port, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._cut_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _cut_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.closed:
            writer.transport.abort()
            return
        try:
            back_reader, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self.done.connections += 1
        self._open |= {writer, back}
        ways = [
            asyncio.ensure_future(self._carry(reader, back, None if self._sealed else _Packets(self, self._dice))),
            asyncio.ensure_future(self._carry(back_reader, writer, None)),
        ]
        self._tasks.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
                self._tasks.discard(way)
            for end in (writer, back):
                end.transport.abort()
                self._open.discard(end)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, packets: "_Packets | None"
    ) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while data := await reader.read(_CHUNK):
                while self.faults.silent:
                    self.done.silent_seconds += _RETRY_S
                    await asyncio.sleep(_RETRY_S)
                faults = self.faults
                if faults.cut and self._dice.random() < faults.cut:
                    self.done.cut += 1
                    return
                wait = faults.delay + (len(data) / faults.rate if faults.rate else 0.0)
                if wait:
                    await asyncio.sleep(wait)
                if packets is None:
                    writer.write(data)
                else:
                    packets.through(data, writer)
                await writer.drain()


class _Packets:
    """MQTT from one truck to the broker, packet by packet."""

    def __init__(self, line: Line, dice: Random) -> None:
        self._line, self._dice = line, dice
        self._received = bytearray()

    def through(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Write what may go on now; what is held back is written later."""
        faults = self._line.faults
        self._received += data
        while (end := _end_of_packet(self._received)) is not None:
            packet = bytes(self._received[:end])
            del self._received[:end]
            if packet[0] >> 4 == _PUBLISH and faults.reorder and self._dice.random() < faults.reorder:
                self._line.done.reordered += 1
                self._line.later(_HELD_BACK_S, packet, writer)
                continue
            writer.write(packet)
            if packet[0] >> 4 == _PUBLISH and faults.double and self._dice.random() < faults.double:
                self._line.done.doubled += 1
                writer.write(packet)


def _end_of_packet(received: bytearray) -> int | None:
    """Where the first packet ends (MQTT 5.0, section 2.1.4); None while it is not whole."""
    size = 0
    for at in range(1, 5):
        if at >= len(received):
            return None
        size |= (received[at] & 127) << (7 * (at - 1))
        if received[at] < 128:
            end = at + 1 + size
            return end if len(received) >= end else None
    return len(received)  # no MQTT: let the broker judge it
