"""`milepost up --dashboard`: the pages are there, their marts are built, and all of it ends with the box."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.standalone.up import Up
from warehouse.read import query

_SECONDS = 60.0


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "data")
    yield running
    if running.process and running.process.poll() is None:
        running.kill()


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.prove
def test_pages_and_marts_come_with_it_and_go_with_it(up: Up) -> None:
    up.start("--trucks", "1", "--shoppers", "1", "--speedup", "60", "--dashboard")
    log, marts = up.folder / "dashboard.log", up.folder / "warehouse.duckdb"
    _until(lambda: log.exists() and "http" in log.read_text())
    found = re.search(r"http://\S+(?=/)", log.read_text())
    assert found
    url = found[0]
    assert httpx.get(f"{url}/_stcore/health", timeout=60).text == "ok"
    _until(marts.exists)
    assert query("SELECT build FROM build", up.folder)[0]["build"] >= 1
    children = json.loads((up.folder / "children.json").read_text())["children"]
    assert "dashboard" in {each["name"] for each in children}
    assert f"Dashboard: {url}/" in up.end()
    assert up.process
    assert up.process.returncode == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=60)
