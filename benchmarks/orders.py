"""A thousand orders a minute at a real `milepost up`: seconds to each durable answer, p50 and p99. Aim: p99 < 100 ms.

Open loop: a request is due by the clock whether or not earlier ones were answered, and its time counts from when it was
due, so that a stall is seen in all requests that it delays. Each order is placed, then packed, loaded and delivered,
and asked for once: five requests. The floor is `GET /healthz` of the same server at the same rate. SQLite, then
PostgreSQL where its programs are installed.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx

from contract import leashed_process

ORDERS_A_MINUTE, SECONDS = 1000, 60
AIM_MS = 100
CLIENTS = 16
MILEPOST = (sys.executable, "-P", "-m", "milepost")
QUIET = ("--trucks", "0", "--shoppers", "0", "--port", "0", "--json")

Request = tuple[float, str, str, str, dict[str, Any] | None]
"""When it is due, its kind, method, path, body."""


def requests() -> list[Request]:
    """What is sent, in the order of its time: seconds from the start."""
    found: list[Request] = []
    for number in range(ORDERS_A_MINUTE * SECONDS // 60):
        due, name = number * 60 / ORDERS_A_MINUTE, f"bench-{number}"
        lines = [{"item_id": f"ITEM-{n}", "item_name": "Article", "price": "19.90", "quantity": 1} for n in range(3)]
        shipping = {"postcode": "10115", "country": "DE", "latitude": 52.53, "longitude": 13.38}
        order = {"order_id": name, "customer_id": f"C-{number % 200}", "currency": "EUR", "lines": lines}
        found.append((due, "order", "POST", "/v1/orders", {**order, "shipping": shipping}))
        for step, kind in enumerate(("packed", "loaded", "delivered"), start=1):
            event = {"event_id": f"{name}-{kind}", "type": kind, "truck_id": "TRUCK-001"}
            found.append((due + step * 0.7, "event", "POST", f"/v1/orders/{name}/events", event))
        found.append((due + 2.5, "state", "GET", f"/v1/orders/{name}", None))
        found.append((due + 0.3, "floor", "GET", "/healthz", None))
    return sorted(found, key=lambda each: each[0])


def drive(url: str) -> dict[str, list[float]]:
    """Latencies in ms by kind."""
    waiting: SimpleQueue[Request | None] = SimpleQueue()
    found: dict[str, list[float]] = defaultdict(list)
    wrong: list[str] = []
    begin = time.monotonic() + 1

    def client() -> None:
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
            while (request := waiting.get()) is not None:
                due, kind, method, path, body = request
                answer = http.request(method, path, json=body)
                found[kind].append((time.monotonic() - begin - due) * 1000)
                if answer.status_code not in (200, 201, 202):  # 202: an event that overtook its order
                    wrong.append(f"{path} {answer.status_code}")

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for request in requests():
        time.sleep(max(0.0, begin + request[0] - time.monotonic()))
        waiting.put(request)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit(f"{len(wrong)} requests were not taken: {wrong[:3]}")
    return found


@contextmanager
def server(folder: Path, database: str | None) -> Iterator[str]:
    """A quiet `milepost up`; its URL."""
    environment = {**os.environ, **({"MILEPOST_COMMERCE__DATABASE": database} if database else {})}
    command = [*MILEPOST, "up", *QUIET, "--data-dir", str(folder)]
    box = leashed_process.start(command, death_signal=signal.SIGKILL, environment=environment)
    try:
        while not (folder / "up.json").exists():
            time.sleep(0.05)
        yield json.loads((folder / "up.json").read_text())["http"]
    finally:
        box.terminate()
        box.wait(30)


def measure(name: str, database: str | None) -> bool:
    """Prints a database's lines; whether the aim was met."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "data", database) as url:
        found = drive(url)
    floor = percentile(found["floor"], 99)
    for kind in ("order", "event", "state", "floor"):
        times = found[kind]
        p50, p99 = percentile(times, 50), percentile(times, 99)
        against = f"{p99 / floor:.1f} × the floor's"
        print(f"{name}, {kind}: {len(times)} requests, p50 {p50:.1f} ms, p99 {p99:.1f} ms = {against}")
    return percentile(found["order"], 99) < AIM_MS


def percentile(times: list[float], share: int) -> float:
    """Of a sorted copy, the value below which that share lies."""
    ranked = sorted(times)
    return ranked[min(len(ranked) - 1, len(ranked) * share // 100)]


def main() -> None:
    print(f"{ORDERS_A_MINUTE} orders a minute for {SECONDS} s, five requests each")
    print(f"{os.cpu_count()} cores, load at the start {os.getloadavg()[0]:.1f}")
    met = [measure("SQLite", None)]
    if shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        from tests import postgresql

        with postgresql.cluster() as url:
            met.append(measure("PostgreSQL", postgresql.database(url, "orders")))
    print(f"aim: p99 of an order under {AIM_MS} ms")
    if not all(met):
        sys.exit(1)


if __name__ == "__main__":
    main()
