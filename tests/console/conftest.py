"""The console over a store of its own: two trucks, a shop, something refused, an alert; served by uvicorn."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from alerts.evaluation import Evaluation
from alerts.queries import kept_alerts
from alerts.rules import load_rules
from alerts.writing import Writing
from collector import queries
from console import metrics, pages, sign_in, truck_tables, zone_editing
from console.access import ConsoleAccess
from console.api import Api, ConsoleSources
from console.metrics import Metrics
from console.settings import ConsoleSettings
from contract.fleet import read_zones
from contract.http_access import Network
from tests.collector.stores_on_disk import Collector
from tests.console.records import BRAKES, SCRIPT, placed
from tests.contract.examples import RECEIVED_MS, click, put


@contextmanager
def collected(folder: Path) -> Iterator[Collector]:
    """Two trucks, one of which needs its brakes seen to; a shop; something that was refused; alerts."""
    made = Collector(folder / "milepost.db")
    made.take(*(placed(minute) for minute in range(10)))
    made.take(*(put(placed(minute, truck_id="T2"), BRAKES, f"worn {SCRIPT}") for minute in range(3)))
    made.take(click(event_id="a", session_id="s", item_name=SCRIPT), kind="click")
    made.on_topic("T3", {"truck_id": "T3", "vehicle_speed": SCRIPT})
    Evaluation(load_rules(), (), Writing(lambda act: act(made.store))).step(made.store, RECEIVED_MS)
    yield made
    made.close()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A store of this test's own."""
    with collected(tmp_path) as made:
        yield made


@contextmanager
def serving(folder: Path, settings: ConsoleSettings, trusted: tuple[Network, ...] = (), **more: Any) -> Iterator[str]:
    """The console of a folder's store and zones, on a free port; more: of ConsoleSources."""
    open_reader = queries.limited_readers(f"sqlite:///{folder}/milepost.db", at_once=4, seconds=10)
    access = ConsoleAccess(settings, trusted)
    acknowledged: list[tuple[str, str, str]] = []
    sources = ConsoleSources(
        open_reader,
        orders=lambda _: [],
        alerts=lambda reader, most: kept_alerts(reader, most=most),
        acknowledge=lambda *said: acknowledged.append(said) or True,  # type: ignore[func-returns-value]
        health=lambda: {"queued": 0},
        grace_ms=10_000,
        truck_table=lambda *asked: truck_tables.rows(*asked, data_dir=folder),
        zones=lambda: read_zones(folder / "zones.geojson"),
        zones_editable=True,
        **more,
    )
    api = Api(sources, access)
    measured = Metrics(
        open_reader, api.view, alerts=kept_alerts, health=lambda: {"queued": 7}, folder=folder, grace_ms=10_000
    )
    routes = [*api.routes, *sign_in.routes(access), *metrics.routes(measured, access), *pages.routes(access)]
    routes += zone_editing.routes(folder / "zones.geojson", access)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=routes),
        log_level="critical",
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True  # nobody waits for what a browser has left open
        thread.join(60)
        listener.close()


Serve = Callable[..., Any]


@pytest.fixture
def url(collector: Collector, tmp_path: Path) -> Iterator[str]:
    """The console over that store, for this machine only."""
    with serving(tmp_path, ConsoleSettings()) as address:
        yield address
