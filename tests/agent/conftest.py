"""A real mosquitto for each test that asks, and a subscriber on it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.live import MOSQUITTO, Broker, Listener


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """A folder where fsync costs nothing, for tests of thousands of samples that are not about the disk."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="milepost-", dir=shared) as name:
        yield Path(name)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """Brokers with extra configuration lines, started."""
    if not MOSQUITTO:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    made: list[Broker] = []

    def make(extra: str = "") -> Broker:
        folder = tmp_path / f"broker{len(made)}"
        folder.mkdir()
        broker = Broker(folder, extra)
        made.append(broker)
        broker.start()
        return broker

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A mosquitto that takes everything."""
    return make_broker()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    """A subscriber of everything on `broker`."""
    one = Listener(broker.port)
    yield one
    one.close()
