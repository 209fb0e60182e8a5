"""A collector on a store of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.stores_on_disk import Collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    opened = Collector(tmp_path / "milepost.db")
    yield opened
    opened.close()
