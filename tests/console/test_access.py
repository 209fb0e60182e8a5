"""Who may see the console from elsewhere, and what of it."""

import ipaddress
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from console.settings import ConsoleSettings
from console.signed_sessions import SignedSessions
from contract.password_file import put_user, read_users
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import collected, serving

CHROMIUM = shutil.which("chromium")
ELSEWHERE = {"host": "console.example.org"}
OWN = {**ELSEWHERE, "x-milepost": "console"}
KEY = "a key of at least twenty-four characters"
PASSWORD = "correct horse battery"


@contextmanager
def open_elsewhere(folder: Path) -> Iterator[str]:
    """The console, open elsewhere to a viewer, an operator and a key."""
    users = folder / "users"
    put_user(users, "vera", "viewer", PASSWORD)
    put_user(users, "otto", "operator", PASSWORD)
    with collected(folder), serving(folder, ConsoleSettings(users=users, read_keys={"grafana": KEY})) as address:
        yield address


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A console of this test's own."""
    with open_elsewhere(tmp_path) as address:
        yield address


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One console for the tests that only read, and for those whom it lets do nothing."""
    with open_elsewhere(tmp_path_factory.mktemp("shared")) as address:
        yield address


@pytest.fixture(scope="module")
def people(shared: str) -> dict[str, dict[str, str]]:
    """The headers of viewer and operator there: a minute allows few sign-ins."""
    return {name: signed_in(shared, name) for name in ("vera", "otto")}


def signed_in(url: str, name: str) -> dict[str, str]:
    """The headers of somebody who has signed in."""
    answer = httpx.post(f"{url}/api/v1/sign-in", json={"name": name, "password": PASSWORD}, headers=OWN, timeout=60)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert all(each in cookie.lower() for each in ("httponly", "samesite=strict", "secure"))
    return {**ELSEWHERE, "cookie": cookie.partition(";")[0]}


def status(url: str, path: str, headers: dict[str, str], method: str = "GET") -> int:
    return httpx.request(method, f"{url}{path}", headers=headers, timeout=60).status_code


def test_a_stranger_sees_the_page_and_nothing_in_it(shared: str) -> None:
    assert [status(shared, path, ELSEWHERE) for path in ("/", "/static/app.js")] == [200, 200]
    for path in ("/api/v1/fleet", "/api/v1/events", "/api/v1/alerts", "/api/v1/me", "/metrics"):
        assert status(shared, path, ELSEWHERE) == 401, path


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
def test_where_trucks_were_is_for_operators(
    shared: str, people: dict[str, dict[str, str]], path: str, viewer: int, operator: int
) -> None:
    assert status(shared, path, people["vera"]) == viewer
    assert status(shared, path, people["otto"]) == operator
    assert status(shared, path, {**ELSEWHERE, "authorization": f"Bearer {KEY}"}) == viewer


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


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/fleet?known_at=2024-06-01T11:05:00Z",
        "/api/v1/fleet?at=&at=2024-06-01T11:05:00Z",
        "/api/v1/trucks/T1?at=2024-06-01T11:05:00Z",
        "/api/v1/trucks/T1/track?format=csv",
        "/api/v1/trucks/T1/%68istory",
        "/api/v1/trucks/T1/trips?format=csv",
        "/api/v1/sessions/s",
    ],
)
def test_a_viewer_finds_no_way_round_to_where_trucks_were(
    shared: str, people: dict[str, dict[str, str]], path: str
) -> None:
    headers = {**people["vera"], "x-http-method-override": "POST", "x-original-url": "/api/v1/fleet"}
    assert status(shared, path, headers) == 403
    assert status(shared, path, headers, "HEAD") in (403, 405)
    assert status(shared, path, {**headers, "x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}) == 403
    last = httpx.get(f"{shared}/api/v1/fleet?at=2024-06-01T11:05:00Z&at=", headers=headers, timeout=60)
    assert last.json()["live"]  # of two the last counts, for who may ask and for what is answered alike


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("path", ["sign-in", "sign-out", "alerts/x/acknowledge"])
def test_a_form_of_another_site_does_nothing_and_no_script_of_it_may_add_our_header(
    shared: str, people: dict[str, dict[str, str]], path: str, kind: str
) -> None:
    headers = {**people["otto"], "origin": "https://attacker.example", "content-type": kind}
    body = f'{{"name":"vera","password":"{PASSWORD}","x":"="}}'
    answer = httpx.post(f"{shared}/api/v1/{path}", headers=headers, content=body, timeout=60)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    asked = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "x-milepost"}
    assert not [
        each for each in httpx.options(f"{shared}/api/v1/{path}", headers=asked).headers if "allow-origin" in each
    ]
    assert status(shared, "/api/v1/me", headers) == 200  # still signed in, as before


@pytest.mark.prove
def test_who_guesses_passwords_is_not_somebody_else_by_a_header(url: str) -> None:
    answers = [
        httpx.post(
            f"{url}/api/v1/sign-in",
            json={"name": "otto", "password": "no"},
            headers={**OWN, "x-forwarded-for": f"203.0.113.{nth}", "x-real-ip": f"203.0.113.{nth}"},
            timeout=60,
        ).status_code
        for nth in range(11)
    ]
    assert answers == [401] * 10 + [429]


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_a_viewers_pages_show_the_present_and_say_what_is_for_operators(url: str) -> None:
    from playwright.sync_api import sync_playwright

    port = url.rpartition(":")[2]
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    elsewhere = f"http://console.example.org:{port}"
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*flags, "--host-resolver-rules=MAP console.example.org 127.0.0.1"]
        )
        page = browser.new_page(extra_http_headers={"authorization": f"Bearer {KEY}"})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        past = "?at=2024-06-01T11:05:00.000Z"  # as an operator may have sent it
        for path, shown in {f"/{past}": "T1", f"/truck/T1{past}": "are for operators", "/alerts": "onerror"}.items():
            page.goto(elsewhere + path)
            page.get_by_text(shown).first.wait_for(timeout=60_000)
            assert page.get_by_role("group", name="Time travel").count() == 0
            assert page.get_by_role("button", name="Acknowledge").count() == 0
        page.goto(f"{elsewhere}/truck/T1")
        page.get_by_role("heading", name="Completeness").wait_for(timeout=60_000)
        browser.close()
    assert [each for each in complaints if "Cross-Origin-Opener-Policy" not in each] == []  # plain HTTP here


def test_a_signed_session_ends_with_its_time_the_password_and_the_user(tmp_path: Path) -> None:
    """Any process that has secret and file knows it; none of its parts can be changed."""
    users = tmp_path / "users"
    put_user(users, "ada-first", "operator", "a password")
    ada = read_users(users)["ada-first"]
    token = SignedSessions(1, "secret", users).begin(ada)
    assert SignedSessions(1, "secret", users).find(token) == ("ada-first", "operator")
    name, until, signature = token.split(".")
    for forged in (f"{name}.{int(until) + 1}.{signature}", f"{name}.{until}.", "..", "", f"{name}.{until}.é"):
        assert SignedSessions(1, "secret", users).find(forged) is None
    assert SignedSessions(1, "another", users).find(token) is None
    assert SignedSessions(1, "secret", users).find(SignedSessions(-1, "secret", users).begin(ada)) is None
    put_user(users, "ada-first", "operator", "another password")
    assert SignedSessions(1, "secret", users).find(token) is None
    users.write_text("")
    assert SignedSessions(1, "secret", users).find(token) is None
