"""The server is killed under a shopper, several times: every event is counted, once."""

import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.beacon.served_script import served_script
from simulator.shop import ShopSite
from tests.collector.beacon.conftest import serve
from tests.milepost_process import REPOSITORY
from tests.simulator.shop.conftest import RECOMMENDATIONS, Visit, nothing_recommended


class Beacon:
    """The server as a process, on one port over one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "tests.collector.beacon.beacon_process", str(self.port), str(self.folder)]
        self.process = subprocess.Popen(argv, cwd=REPOSITORY)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def beacon(tmp_path: Path) -> Iterator[Beacon]:
    made = Beacon(tmp_path)
    yield made
    made.kill()


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.prove)])
def test_a_server_that_is_killed_counts_each_event_once(chromium: Browser, beacon: Beacon, kills: int) -> None:
    site = ShopSite(beacon="/beacon.js", tag={"data-endpoint": f"http://127.0.0.1:{beacon.port}/v1/clicks"})
    with (
        serve(Starlette(routes=[*site.routes, Route("/beacon.js", _script)])) as url,
        chromium.new_context(bypass_csp=True) as context,
    ):
        context.route(RECOMMENDATIONS, nothing_recommended)
        shop = Visit(f"{url.replace('127.0.0.1', 'localhost')}/shop", None, context)  # type: ignore[arg-type]
        page = shop.go()
        sent = 0
        for _ in range(kills):
            for _ in range(15):
                page.evaluate(f"milepost.track('view', {{item_id: 'i{sent}'}})")
                page.wait_for_timeout(20)
                sent += 1
            beacon.kill()
            page.evaluate(f"milepost.track('view', {{item_id: 'i{sent}'}})")
            sent += 1
            beacon.start()
            page = shop.go()
        for _ in range(1200):
            if not page.evaluate("milepost.debug().waiting"):
                break
            page.wait_for_timeout(50)
            page.evaluate("dispatchEvent(new Event('online'))")  # as a browser says when it is connected again
    with closing(sqlite3.connect(beacon.folder / "milepost.db")) as store:
        rows = store.execute("SELECT item_id, count(*), sum(count) FROM clicks WHERE event_type = 'view' GROUP BY 1")
        found = {item: (events, count) for item, events, count in rows}
        counted = store.execute("SELECT sum(count) FROM click_counts WHERE event_type = 'view'").fetchone()[0]
    assert found == {f"i{number}": (1, 1) for number in range(sent)}
    assert counted == sent


async def _script(_: Request) -> Response:
    """beacon.js from the shop's own host, since the beacon's own may be down when a page loads."""
    return Response(served_script(), media_type="text/javascript")
