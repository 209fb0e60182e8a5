"""The pages in a real Chromium: drawn, without an error, without a request to another machine; and who is let in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from contract.errors import Misconfigured
from dashboards.streamlit_app.server import make_server
from dashboards.streamlit_app.source import DashboardSource
from scripts.dashboard_screenshots import served, take
from tests.dashboards.demo import Demo

needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")


@pytest.fixture(scope="module")
def url(demo: Demo) -> Iterator[str]:
    with served(demo.folder) as address:
        yield address


@needs_chromium
def test_the_map_asks_nobody_else(url: str, tmp_path: Path) -> None:
    assert take(url, tmp_path, ("Fleet map",), ((1400, 1000),)) == []
    assert len(list(tmp_path.glob("*.png"))) == 1


@needs_chromium
@pytest.mark.prove
def test_every_page_asks_nobody_else(url: str, tmp_path: Path) -> None:
    assert take(url, tmp_path) == []


@pytest.mark.parametrize(
    "headers", [{"host": "attacker.example"}, {"x-forwarded-for": "203.0.113.9"}, {"via": "1.1 x"}]
)
def test_who_comes_through_a_proxy_or_another_name_sees_nothing(url: str, headers: dict[str, str]) -> None:
    for path in ("/", "/_stcore/health", "/basemap/land.geojson"):
        assert httpx.get(f"{url}{path}", headers=headers, timeout=60).status_code == 403
    if "host" not in headers:
        with (
            pytest.raises(InvalidStatus),
            connect(url.replace("http", "ws") + "/_stcore/stream", additional_headers=headers),
        ):
            pass


def test_another_address_needs_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Misconfigured, match="without sign-in"):
        make_server(DashboardSource(tmp_path, "sqlite:///none.db"), "0.0.0.0", 0)
