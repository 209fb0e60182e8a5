"""Sign-in by the console's password file: a form, a session, two roles; nothing before it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from contract.errors import Misconfigured
from contract.http_access import HttpSettings
from contract.password_file import put_user
from dashboards.panels.views import PANELS, STREAMLIT, tells_where
from dashboards.settings import SignIn
from dashboards.streamlit_app.pages import panels_for
from dashboards.streamlit_app.server import make_server
from dashboards.streamlit_app.source import DashboardSource
from scripts.dashboard_screenshots import CHROMIUM, FLAGS
from tests.agent.pki import Authority
from tests.dashboards.demo import Demo

ELSEWHERE = {"x-forwarded-for": "203.0.113.9", "host": "dashboard.example", "origin": "https://dashboard.example"}


@contextmanager
def _served(demo: Demo, folder: Path, more: str = "") -> Iterator[str]:
    """The command itself, with a password file in its configuration."""
    put_user(folder / "users", "vera", "viewer", "correct horse")
    (folder / "milepost.toml").write_text(f'[console]\nusers = "{folder / "users"}"\n{more}')
    command = [sys.executable, "-P", "-m", "milepost", "dashboard", "--port", "0", "--data-dir", str(demo.folder)]
    with subprocess.Popen(
        [*command, "--config", str(folder / "milepost.toml")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            found = re.search(r"https?://\S+(?=/)", process.stdout.readline())
            assert found
            yield found[0]
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def url(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with _served(demo, tmp_path_factory.mktemp("sign-in")) as address:
        yield address


def _sign_in(url: str, password: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{url}/sign-in", data={"name": "vera", "password": password}, headers={**ELSEWHERE, **headers}, timeout=60
    )


def _stream(url: str, headers: dict[str, str]) -> None:
    """The WebSocket over which Streamlit sends its pages."""
    with connect(url.replace("http", "ws") + "/_stcore/stream", additional_headers=headers):
        pass


def test_a_stranger_gets_the_form_and_nothing_else(url: str) -> None:
    for path in ("/", "/trips", "/_stcore/health", "/basemap/land.geojson"):
        answer = httpx.get(f"{url}{path}", headers=ELSEWHERE, timeout=60)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "password" in httpx.get(f"{url}/sign-in", headers=ELSEWHERE, timeout=60).text
    with pytest.raises(InvalidStatus):
        _stream(url, {"x-forwarded-for": "203.0.113.9"})
    with pytest.raises(InvalidStatus):
        _stream(url, {"x-forwarded-for": "203.0.113.9", "x-milepost-signed-in": "local"})


def test_the_right_password_opens_the_pages_until_sign_out(url: str) -> None:
    answer = _sign_in(url, "correct horse")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=strict"} <= set(cookie.split("; "))
    let_in = {"x-forwarded-for": "203.0.113.9", "cookie": cookie.partition(";")[0]}
    assert httpx.get(f"{url}/_stcore/health", headers=let_in, timeout=60).text == "ok"
    _stream(url, let_in)
    httpx.get(f"{url}/sign-out", headers=let_in, timeout=60)
    assert httpx.get(f"{url}/_stcore/health", headers=let_in, timeout=60).status_code == 303


def test_this_machine_needs_no_password(url: str) -> None:
    assert httpx.get(f"{url}/_stcore/health", timeout=60).text == "ok"


def test_wrong_passwords_other_sites_and_guessers_are_refused(url: str) -> None:
    assert _sign_in(url, "correct horse", origin="https://attacker.example").status_code == 403
    codes = [_sign_in(url, f"guess {number}").status_code for number in range(11)]  # ten a minute are let through
    assert codes[0] == 401
    assert codes[-1] == 429


def test_a_viewer_is_not_told_where_trucks_were() -> None:
    hidden = {"positions", "stops", "trips", "truck_current", "zone_visits"}
    assert {name for name, panel in PANELS.items() if tells_where(panel)} >= hidden
    assert panels_for("viewer", STREAMLIT["Fleet map"]) == []
    assert [each.name for each in panels_for("viewer", STREAMLIT["Trips"])] == ["trips_day", "driving_events"]
    assert len(panels_for("operator", STREAMLIT["Trips"])) == len(STREAMLIT["Trips"])


def test_another_address_needs_a_certificate_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put_user(tmp_path / "users", "vera", "viewer", "correct horse")
    who, source = SignIn(users=tmp_path / "users"), DashboardSource(tmp_path, "sqlite:///none.db")
    with pytest.raises(Misconfigured, match="without encryption"):
        make_server(source, "0.0.0.0", 0, who)
    (tmp_path / "users").write_text("vera:admin:x\n")
    with pytest.raises(Misconfigured, match="line 1"):
        make_server(source, "127.0.0.1", 0, who, HttpSettings())


@pytest.mark.prove
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed")
def test_a_viewer_signs_in_by_a_real_browser(demo: Demo, tmp_path: Path) -> None:
    """Over TLS and under another host name, so that the request is not this machine's own."""
    tls = Authority(tmp_path / "tls").issue("dashboard.example")
    http = f'[http]\ntls_certificate = "{tls.certificate}"\ntls_key = "{tls.key}"\n'
    with _served(demo, tmp_path, http) as address, sync_playwright() as playwright:
        named = address.replace("127.0.0.1", "dashboard.example")
        flags = [*FLAGS, "--host-resolver-rules=MAP dashboard.example 127.0.0.1", "--ignore-certificate-errors"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(f"{named}/trips")
        page.fill("input[name=name]", "vera")
        page.fill("input[name=password]", "correct horse")
        page.click("button")
        page.wait_for_selector("text=Signed in as vera", timeout=60_000)
        page.wait_for_selector("text=The fleet in this period", timeout=60_000)
        linked = page.locator("[data-testid=stSidebarNav]").inner_text()
        assert "Trips" in linked
        assert "Fleet map" not in linked
        page.click("text=Sign out")
        page.wait_for_selector("input[name=password]", timeout=60_000)
        browser.close()
