"""Shop events acknowledged after the durable write, against the same server answering an empty 204.

    python -m benchmarks.beacon [--seconds 3] [--connections 64] [--rounds 3] [--json]

The server is a process of its own: the writer of one machine on a SQLite file (synchronous=FULL), the beacon, uvicorn
as `up` runs it, and one route more that answers 204. wrk keeps a request under way on each of its connections and sends
the same bytes to both doors, event_ids apart; at the end every answered event must be in the store. The limits per
source are lifted, since all of it comes from one address. Each round measures all; the medians count.

The floor is what cannot be left out, whatever the rest costs: an empty 204 a request, and the rows of `clicks` that the
events became, put into a new file by bare statements and committed as the server does, in one thread and process.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contract import leashed_process

EMPTY = "/empty"
CLICKS = "/v1/clicks"
BATCH = 20

DURABLE_PER_EMPTY = "one event a request / empty 204 (aim 0.4)"
BATCHED_PER_EMPTY = f"{BATCH} events a request / empty 204 (aim 1.5)"
GROUP = 50
"""Requests of one commit, of 64 connections."""
FLOOR_ROWS = 30_000
AIMS = {DURABLE_PER_EMPTY: 0.4, BATCHED_PER_EMPTY: 1.5}


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if not shutil.which("wrk"):
        raise SystemExit("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="beacon-") as name:
        argv = [sys.executable, "-m", "benchmarks.beacon", "--serve", name]
        server = leashed_process.start(
            argv, death_signal=signal.SIGKILL, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            folder=Path(__file__).parents[1],
        )  # fmt: skip
        try:
            assert server.stdout
            figures = measure(server.pid, int(server.stdout.readline()), Path(name), options)
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
    from collector.history import TrackingPolicy
    from collector.ingest import Ingest, vouch_for_policy
    from collector.settings import CollectorSettings
    from collector.stores.factory import open_store
    from standalone.group_commit_writer import Writer
    from standalone.http_server import HttpServer

    settings = CollectorSettings(data_dir=folder)
    policy, store = TrackingPolicy.of(settings.track), open_store(settings.store_url)
    vouch_for_policy(store, policy)
    with Writer(store, Ingest(store, policy)) as writer:
        unlimited = BeaconSettings(rate=1e9, burst=1e9, quota_mb_per_day=1e9, free_mb=0)
        app = create_app(writer.submit, settings=unlimited, stats=writer.stats)
        app.router.routes.insert(0, Route(EMPTY, Empty(), methods=["POST"]))
        web = HttpServer(app, 0)
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


def measure(pid: int, port: int, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """All rates and ratios, medians over the rounds."""
    rates: dict[str, list[float]] = {"empty": [], "one": [], "twenty": []}
    costs: dict[str, list[float]] = {"empty": [], "one": [], "twenty": []}
    answered = 0
    for _ in range(options.rounds):
        for name, path, size in (("empty", EMPTY, 1), ("one", CLICKS, 1), ("twenty", CLICKS, BATCH)):
            before = _cpu_seconds(pid)
            requests, seconds = _load(port, path, size, options)
            costs[name].append((_cpu_seconds(pid) - before) / (requests * size) * 1e6)
            rates[name].append(requests * size / seconds)
            answered += requests * size if path == CLICKS else 0
    _check(folder, answered)
    row, batched_row = _bare_rows(folder, GROUP), _bare_rows(folder, 1000)
    empty, one, twenty = (statistics.median(rates[name]) for name in ("empty", "one", "twenty"))
    empty_cost, one_cost, twenty_cost = (statistics.median(costs[name]) for name in ("empty", "one", "twenty"))
    return {
        "empty 204, requests/s": empty,
        "one event a request, durable, events/s": one,
        f"{BATCH} events a request, durable, events/s": twenty,
        DURABLE_PER_EMPTY: one / empty,
        BATCHED_PER_EMPTY: twenty / empty,
        "empty 204, CPU µs a request": empty_cost,
        "one event a request, CPU µs an event": one_cost,
        f"{BATCH} events a request, CPU µs an event": twenty_cost,
        "one event a request / empty 204, by CPU": empty_cost / one_cost,
        f"{BATCH} events a request / empty 204, by CPU": empty_cost / twenty_cost,
        f"bare rows, {GROUP} a commit, CPU µs each": row,
        "bare rows, 1000 a commit, CPU µs each": batched_row,
        "floor, one event a request, by CPU": empty_cost / (empty_cost + row),
        f"floor, {BATCH} events a request, by CPU": empty_cost / (empty_cost / BATCH + batched_row),
    }


def _load(port: int, path: str, size: int, options: argparse.Namespace) -> tuple[int, float]:
    """Requests that were answered with success, and the seconds that they took."""
    script = Path(__file__).with_name("beacon.lua")
    argv = ["wrk", "--threads", "1", "--connections", str(options.connections), "--duration", f"{options.seconds}s"]
    argv += ["--script", str(script), f"http://127.0.0.1:{port}{path}", "--", uuid.uuid4().hex, str(size)]
    said = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    if said["errors"]:
        raise SystemExit(f"{path}: {said['errors']} of {said['requests']} requests failed")
    return said["requests"], said["microseconds"] / 1e6


def _cpu_seconds(pid: int) -> float:
    """What a process has used so far; other processes of a busy machine change it less than they change its rates."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _bare_rows(folder: Path, group: int) -> float:
    """CPU µs a row, of putting rows that the server has stored into a new file, so many a commit."""
    from collector.stores.sqlite import many_rows
    from collector.stores.sqlite.click_rows import CLICK, PUT
    from collector.stores.sqlite.schema import connect

    with contextlib.closing(connect(folder / "milepost.db", readonly=True)) as store:
        rows = store.execute(f"SELECT {CLICK} FROM clicks ORDER BY rowid LIMIT {FLOOR_ROWS}").fetchall()
    with contextlib.closing(connect(folder / f"bare-{group}.db")) as bare:
        began = time.process_time()
        for first in range(0, len(rows), group):
            bare.execute("BEGIN IMMEDIATE")
            many_rows.insert(bare, PUT, rows[first : first + group])
            bare.execute("COMMIT")
        return (time.process_time() - began) / len(rows) * 1e6


def _check(folder: Path, answered: int) -> None:
    """Every event that was acknowledged is in the store."""
    with contextlib.closing(sqlite3.connect(folder / "milepost.db")) as store:
        (stored,) = store.execute("SELECT count(*) FROM clicks").fetchone()
    if stored < answered:
        raise SystemExit(f"{answered} events were acknowledged, but {stored} are stored")


if __name__ == "__main__":
    main()
