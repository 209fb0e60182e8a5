"""The listener by itself, before an application of the test's own."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from contract.http_connections import ListenerLimits
from contract.http_listener import HttpListener
from contract.http_service import bind


@contextlib.contextmanager
def listening(app: Any, limits: ListenerLimits) -> Iterator[tuple[HttpListener, tuple[str, int]]]:
    """A listener within its limits, and where it listens; what it logs is left to pytest."""
    bound = bind("127.0.0.1", 0, "")
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    config.load()
    listener = HttpListener(config, limits)
    thread = threading.Thread(target=listener.run, args=([bound],), daemon=True)
    thread.start()
    where = bound.getsockname()
    while not listener.started:
        time.sleep(0.01)
    yield listener, where
    listener.should_exit = True
    thread.join(60)
    bound.close()
