"""One filled and one empty installation for all tests of this room."""

from pathlib import Path

import pytest

from tests.dashboards.demo import Demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("empty"), empty=True)


@pytest.fixture(scope="session")
def data_dir(demo: Demo) -> Path:
    return demo.folder
