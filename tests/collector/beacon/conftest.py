"""The beacon under a real uvicorn on a free loopback port."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from collector.beacon import BeaconSettings, create_app
from contract.http_connections import ListenerLimits
from contract.http_listener import HttpListener
from tests.collector.beacon.fakes import FakeWriter

KEYS = {"key-of-truck-1": "T1", "key-of-truck-2": "T2"}


@contextlib.contextmanager
def serve(app: ASGIApp) -> Iterator[str]:
    """Run an application until the end of the block; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", ws="none")
    server = HttpListener(config, ListenerLimits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 90
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(60)
        listener.close()


@pytest.fixture(scope="module")
def health() -> dict[str, Any]:
    """What `stats` says; a test may change it for its own length."""
    return {"queue": 3}


@pytest.fixture(scope="module")
def shared_writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
def writer(shared_writer: FakeWriter) -> Iterator[FakeWriter]:
    shared_writer.items.clear()
    yield shared_writer
    shared_writer.mode = "commits"


@pytest.fixture(scope="module")
def base_url(shared_writer: FakeWriter, health: dict[str, Any]) -> Iterator[str]:
    with serve(create_app(shared_writer.submit, settings=BeaconSettings(), stats=lambda: health)) as url:
        yield url


@pytest.fixture(scope="module")
def shared_client(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture
def client(shared_client: httpx.Client, writer: FakeWriter) -> httpx.Client:
    """Talks to a beacon without keys, whose writer is `writer`."""
    return shared_client


@pytest.fixture(scope="module")
def keyed(shared_writer: FakeWriter) -> Iterator[httpx.Client]:
    """Talks to a beacon with KEYS, and the same writer."""
    app = create_app(shared_writer.submit, settings=BeaconSettings(telemetry_keys=KEYS))
    with serve(app) as url, httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        yield client
