"""A `milepost up` for each test, ended by its id whatever happens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standalone.up import Up


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    run = Up(tmp_path / "data")
    yield run
    if run.process and run.process.poll() is None:
        run.kill()
