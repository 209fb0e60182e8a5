"""Property tests take the same examples at every `make test`, others at every `make prove`; no test leaks into others.

How long one takes proves nothing on a machine that does something else as well.
"""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "milepost",
    derandomize="MILEPOST_PROVE" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("milepost")

_WAITING = (
    "tests/streaming/",
    "tests/standalone/test_kafka_doors.py",
    "tests/standalone/test_kills.py",
    "tests/collector/handlers/test_kafka_worker.py",
    "tests/collector/streams/",
    "tests/standalone/",
    "tests/deploy/",
    "tests/provisioning/",
)
"""Few tests that each wait long: begun last, they would keep one process busy when the others have ended."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest begins first (`--no-loadscope-reorder` keeps this order)."""

    def place(item: pytest.Item) -> int:
        waits = (number for number, path in enumerate(_WAITING) if item.nodeid.startswith(path))
        return next(waits, len(_WAITING))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _left_as_found() -> Iterator[None]:
    """Commands that run inside a test's process set what a process of their own would take to its grave."""
    environ, umask = dict(os.environ), os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ)
    if "boto3" in sys.modules:
        sys.modules["boto3"].DEFAULT_SESSION = None  # it keeps the credentials that it found first
