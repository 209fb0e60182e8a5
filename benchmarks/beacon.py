"""Shop events acknowledged after the durable write, against the same server answering an empty 204.

    python -m benchmarks.beacon [--seconds 3] [--connections 64] [--rounds 3] [--json]

The server is a process of its own: the box's writer on a SQLite file (synchronous=FULL), the beacon, uvicorn as the box
runs it, and one route more that answers 204. The client keeps a request under way on each of its connections, sends the
same bytes to both doors, event_ids apart, and checks every receipt. Each round measures all; the medians count.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

EMPTY = "/empty"
CLICKS = "/v1/clicks"
BATCH = 20

DURABLE_PER_EMPTY = "one event a request / empty 204 (aim 0.4)"
BATCHED_PER_SINGLE = f"{BATCH} a request / one a request (aim 5)"
AIMS = {DURABLE_PER_EMPTY: 0.4, BATCHED_PER_SINGLE: 5.0}


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory(prefix="beacon-") as name:
        argv = [sys.executable, "-m", "benchmarks.beacon", "--serve", name]
        server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
        try:
            assert server.stdout
            figures = measure(int(server.stdout.readline()), options)
        finally:
            server.communicate()
    if options.json:
        print(json.dumps(figures))
    else:
        for label, value in figures.items():
            print(f"{label:45} {value:12,.2f}")
    if any(figures[label] < aim for label, aim in AIMS.items()):
        sys.exit(1)


def serve(folder: Path) -> None:
    """Print the port, and serve until the input ends."""
    from collector.beacon import BeaconSettings, create_app
    from collector.history import Policy
    from collector.ingest import Ingest, vouch_for_policy
    from collector.settings import CollectorSettings
    from collector.stores.factory import open_store
    from standalone.group_commit_writer import Writer
    from standalone.http_server import Web

    settings = CollectorSettings(data_dir=folder)
    policy, store = Policy.of(settings.track), open_store(settings.store_url)
    vouch_for_policy(store, policy)
    with Writer(store, Ingest(store, policy)) as writer:
        app = create_app(writer.submit, settings=BeaconSettings(), stats=writer.stats)
        app.router.routes.insert(0, Route(EMPTY, Empty(), methods=["POST"]))
        web = Web(app, 0)
        web.start()
        print(web.url.rpartition(":")[2], flush=True)
        sys.stdin.read()
        web.stop()
    store.close()


class Empty:
    """As little as a server can do."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


def measure(port: int, options: argparse.Namespace) -> dict[str, float]:
    """All rates and ratios, medians over the rounds."""
    rates: dict[str, list[float]] = {"empty": [], "one": [], "twenty": []}
    for _ in range(options.rounds):
        for name, path, size in (("empty", EMPTY, 1), ("one", CLICKS, 1), ("twenty", CLICKS, BATCH)):
            requests = asyncio.run(_load(port, path, size, options))
            rates[name].append(requests * size)
    empty, one, twenty = (statistics.median(rates[name]) for name in ("empty", "one", "twenty"))
    return {
        "empty 204, requests/s": empty,
        "one event a request, durable, events/s": one,
        f"{BATCH} events a request, durable, events/s": twenty,
        DURABLE_PER_EMPTY: one / empty,
        BATCHED_PER_SINGLE: twenty / one,
        f"{BATCH} a request / empty 204": twenty / empty,
    }


async def _load(port: int, path: str, size: int, options: argparse.Namespace) -> float:
    """Requests answered a second."""
    loop = asyncio.get_running_loop()
    clients = [Client(path, size) for _ in range(options.connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
    started = time.perf_counter()
    await asyncio.sleep(options.seconds)
    answered = sum(client.answered for client in clients)
    elapsed = time.perf_counter() - started
    for client in clients:
        client.end()
    return answered / elapsed


class Client(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, path: str, size: int) -> None:
        self._path, self._size = path, size
        self._run, self._sent = uuid.uuid4().hex, 0
        self._buffer = b""
        self._going = True
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        if body.count(b'"accepted"') != (self._size if self._path == CLICKS else 0) or not head.startswith(
            b"HTTP/1.1 2"
        ):
            raise AssertionError(self._buffer)
        self._buffer = b""
        self.answered += 1
        if self._going:
            self._ask()

    def end(self) -> None:
        self._going = False
        self._transport.close()

    def _ask(self) -> None:
        events = [self._event() for _ in range(self._size)]
        body = (events[0] if self._size == 1 else '{"events":[' + ",".join(events) + "]}").encode()
        head = f"POST {self._path} HTTP/1.1\r\nHost: shop\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}"
        self._transport.write(head.encode() + b"\r\n\r\n" + body)  # type: ignore[attr-defined]

    def _event(self) -> str:
        self._sent += 1
        return (
            f'{{"event_id":"{self._run}-{self._sent}","event_type":"click","user_id":"u-4711",'
            f'"session_id":"{self._run}","page":"https://shop.example/oil/{self._sent % 50}",'
            f'"item_id":"i-{self._sent % 50}","item_name":"Motor oil","category":"oil","price":12.5,"quantity":1}}'
        )


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line[15:])
    return 0


if __name__ == "__main__":
    main()
