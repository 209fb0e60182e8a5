"""Who may see the console from elsewhere, and what of it."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from console.settings import ConsoleSettings
from contract.password_file import put_user
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import serving

ELSEWHERE = {"host": "console.example.org"}
OWN = {**ELSEWHERE, "x-milepost": "console"}
KEY = "a key of at least twenty-four characters"
PASSWORD = "correct horse battery"


@pytest.fixture
def url(collector: Collector, tmp_path: Path) -> Iterator[str]:
    """The console, open elsewhere to a viewer, an operator and a key."""
    users = tmp_path / "users"
    put_user(users, "vera", "viewer", PASSWORD)
    put_user(users, "otto", "operator", PASSWORD)
    with serving(tmp_path, ConsoleSettings(users=users, read_keys={"grafana": KEY})) as address:
        yield address


def signed_in(url: str, name: str) -> dict[str, str]:
    """The headers of somebody who has signed in."""
    answer = httpx.post(f"{url}/api/v1/sign-in", json={"name": name, "password": PASSWORD}, headers=OWN, timeout=60)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert all(each in cookie.lower() for each in ("httponly", "samesite=strict", "secure"))
    return {**ELSEWHERE, "cookie": cookie.partition(";")[0]}


def status(url: str, path: str, headers: dict[str, str], method: str = "GET") -> int:
    return httpx.request(method, f"{url}{path}", headers=headers, timeout=60).status_code


def test_a_stranger_sees_the_page_and_nothing_in_it(url: str) -> None:
    assert [status(url, path, ELSEWHERE) for path in ("/", "/static/app.js")] == [200, 200]
    for path in ("/api/v1/fleet", "/api/v1/events", "/api/v1/alerts", "/api/v1/me", "/metrics"):
        assert status(url, path, ELSEWHERE) == 401, path


@pytest.mark.parametrize(
    ("path", "viewer", "operator"),
    [
        ("/api/v1/fleet", 200, 200),
        ("/api/v1/trucks/T1", 200, 200),
        ("/api/v1/fleet?at=2024-06-01T11:05:00Z", 403, 200),
        ("/api/v1/trucks/T1/signals", 403, 200),
        ("/api/v1/trucks/T1/history", 403, 200),
        ("/metrics", 200, 200),
    ],
)
def test_where_trucks_were_is_for_operators(url: str, path: str, viewer: int, operator: int) -> None:
    assert status(url, path, signed_in(url, "vera")) == viewer
    assert status(url, path, signed_in(url, "otto")) == operator
    assert status(url, path, {**ELSEWHERE, "authorization": f"Bearer {KEY}"}) == viewer


def test_only_an_operator_acknowledges_and_only_from_our_own_page(url: str) -> None:
    path = "/api/v1/alerts/x/acknowledge"
    viewer, operator = signed_in(url, "vera"), signed_in(url, "otto")
    own = {"x-milepost": "console"}
    assert status(url, path, {**viewer, **own}, "POST") == 403
    assert status(url, path, operator, "POST") == 403
    assert status(url, path, {**operator, **own}, "POST") == 204
    assert status(url, path, {}, "POST") == 403  # also at this machine: a form of another site


def test_a_session_ends_where_its_owner_ends_it(url: str) -> None:
    headers = signed_in(url, "vera")
    assert status(url, "/api/v1/sign-out", {**headers, "x-milepost": "console"}, "POST") == 204
    assert status(url, "/api/v1/me", headers) == 401


def test_a_wrong_password_says_nothing_and_is_not_tried_for_ever(url: str) -> None:
    answers = [
        httpx.post(f"{url}/api/v1/sign-in", json={"name": name, "password": "no"}, headers=OWN, timeout=60)
        for name in ("vera", "nobody", *["vera"] * 9)
    ]
    assert len({answer.text for answer in answers[:10]}) == 1
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]


def test_a_proxys_word_counts_only_where_it_is_trusted(collector: Collector, tmp_path: Path) -> None:
    settings = ConsoleSettings(proxy_user_header="x-user", proxy_role_header="x-role")
    said = {**ELSEWHERE, "x-user": "anna", "x-role": "operator"}
    with serving(tmp_path, settings) as url:
        assert status(url, "/api/v1/me", said) == 401
    with serving(tmp_path, settings, (ipaddress.ip_network("127.0.0.1/32"),)) as url:
        assert httpx.get(f"{url}/api/v1/me", headers=said, timeout=60).json()["role"] == "operator"
        assert httpx.get(f"{url}/api/v1/me", headers={**said, "x-role": "root"}, timeout=60).json()["role"] == "viewer"
        assert status(url, "/api/v1/me", ELSEWHERE) == 401
