"""Property tests take the same examples at every `make test`, others at every `make prove`; no test leaks into others.

How long one takes proves nothing on a machine that does something else as well.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "milepost",
    derandomize="MILEPOST_PROVE" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("milepost")

_TOGETHER = {
    "a stack on AWS, Kafka, Spark": (
        "tests/streaming/",
        "tests/collector/handlers/",
        "tests/collector/streams/",
        "tests/deploy/",
        "tests/promises/test_streams.py",
        "tests/simulator/test_event_producer.py",
    ),
    "AWS IoT": ("tests/provisioning/",),
    "a demo of the dashboards": ("tests/dashboards/",),
    "SQLMesh": ("tests/warehouse/",),
    "tables in DynamoDB": ("tests/promises/", "tests/collector/stores/", "tests/iot_rules/"),
    "orders in PostgreSQL": ("tests/commerce/",),
}
"""What one process starts once for all of them, and files that use it: begun in this order, and by one process each."""

_LONG = tuple(
    f"tests/{room}/" for room in ("standalone", "console", "collector", "simulator", "upgrade", "alerts", "agent")
)
"""Files that follow, so that the short ones are last, when one process may have to wait for the others."""


def _group(nodeid: str) -> str:
    """What must run in one process: the file, or the files that share what is dear to start."""
    for name, paths in _TOGETHER.items():
        if nodeid.startswith(paths):
            return name
    return nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, with groups of files."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first (`--no-loadscope-reorder` keeps this order)."""
    order = [*_TOGETHER, *_LONG]

    def place(item: pytest.Item) -> int:
        group = _group(item.nodeid)
        return next((number for number, name in enumerate(order) if group.startswith(name)), len(order))

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
