"""What is around the doors: health, the script's address, and paths and methods that are not there."""

from typing import Any

import httpx
import pytest

from collector.beacon import BeaconSettings, create_app
from contract import settings
from contract.errors import Misconfigured
from tests.collector.beacon.conftest import serve
from tests.collector.beacon.fakes import FakeWriter


def test_healthz_is_ok_with_what_the_stats_add(client: httpx.Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["queue"] == 3


def test_healthz_fails_when_the_writer_is_dead(client: httpx.Client, health: dict[str, Any]) -> None:
    health["failing"] = "the disk is full"
    try:
        answer = client.get("/healthz")
    finally:
        del health["failing"]
    assert answer.status_code == 503
    assert answer.json() == {"status": "failing", "reason": "the disk is full", "queue": 3}


def test_healthz_counts_what_was_turned_away(client: httpx.Client, writer: FakeWriter) -> None:
    before = client.get("/healthz").json()
    writer.mode = "is full"
    client.post("/v1/clicks", content=b"{}")
    writer.mode = "fails"
    client.post("/v1/clicks", content=b"{}")
    after = client.get("/healthz").json()
    assert (after["shed"] - before["shed"], after["failed"] - before["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/clicks", "POST"), ("DELETE", "/v1/telemetry", "POST"), ("POST", "/v1/pixel.gif", "GET")],
)
def test_a_wrong_method_is_told_the_right_one(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"]
    assert allowed in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/v1/click", "/v1/clicks/", "/v1/../etc/passwd", "/%00"])
def test_an_unknown_path_is_told_the_known_ones(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "/v1/clicks" in answer.json()["error"]


def test_a_fault_of_ours_is_a_500_as_json() -> None:
    def broken() -> dict[str, Any]:
        raise ZeroDivisionError

    with serve(create_app(FakeWriter().submit, settings=BeaconSettings(), stats=broken)) as url:
        answer = httpx.get(f"{url}/healthz", trust_env=False, timeout=60)
    assert answer.status_code == 500
    assert "again" in answer.json()["error"]


def test_the_script_is_served_for_any_page_and_revalidated(client: httpx.Client) -> None:
    answer = client.get("/beacon.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert b"Milepost beacon" in answer.content
    again = client.get("/beacon.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "keys",
    [
        '{"secret-key": "no truck"}',
        '{"secret-key": 5}',
        '{"secret key": "T1"}',
        '["secret-key"]',
        '{"": "T1"}',
        '{"1": "T1"}',
    ],
)
def test_wrong_keys_are_refused_without_printing_them(keys: str) -> None:
    environ = {"MILEPOST_BEACON__TELEMETRY_KEYS": keys}
    with pytest.raises(Misconfigured, match="telemetry_keys") as caught:
        settings.load("beacon", BeaconSettings, environ=environ)
    assert "secret" not in str(caught.value)


def test_keys_are_read_from_the_settings() -> None:
    environ = {"MILEPOST_BEACON__TELEMETRY_KEYS": '{"key-of-T1": "T1"}'}
    assert settings.load("beacon", BeaconSettings, environ=environ).telemetry_keys == {"key-of-T1": "T1"}


def test_the_script_and_the_endpoint_have_a_name_of_the_shops_own(writer: FakeWriter) -> None:
    app = create_app(writer.submit, settings=BeaconSettings(alias="/assets/shop"))
    with serve(app) as url, httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        script = client.get("/assets/shop.js").text
        assert '"/assets/shop"' in script
        assert "/v1/clicks" not in script
        assert '"/v1/clicks"' in client.get("/beacon.js").text
        assert client.post("/assets/shop", json={"event_id": "a"}).json()["receipts"][0]["status"] == "accepted"
    assert BeaconSettings(alias="/assets/shop").public_paths == {"/assets/shop", "/assets/shop.js"}


@pytest.mark.parametrize("alias", ["assets", "/v1/clicks", "/api", "/a b", "/a/../b", "/a/"])
def test_a_name_that_cannot_be_a_path_of_the_shop_is_refused(alias: str) -> None:
    with pytest.raises(ValueError, match="alias"):
        BeaconSettings(alias=alias)
