"""What the door sees of a sender, and that none of it changes what an event is."""

import ipaddress
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from collector.beacon.enrichment import Enrichment
from collector.beacon.places import Places
from collector.beacon.user_agents import read_user_agent
from contract.click_records import read_click
from contract.errors import Misconfigured
from tests.collector.beacon import mmdb
from tests.collector.beacon.fakes import FakeWriter
from tests.contract.examples import RECEIVED_MS, click

BROWSERS = [tuple(each.values()) for each in json.loads(Path(__file__).with_name("browsers.json").read_text())]


def scope(*, peer: str = "203.0.113.77", **headers: str) -> dict[str, Any]:
    found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (peer, 1), "headers": found}


@pytest.mark.parametrize(("text", "device", "browser", "system"), BROWSERS, ids=lambda value: str(value)[:40])
def test_an_ordinary_browser_is_known_and_is_no_robot(text: str, device: str, browser: str | None, system: str) -> None:
    found = read_user_agent(text)
    assert (found.is_bot, found.device_type, found.os) == (False, device, system)
    assert browser is None or found.browser == browser


def test_crawlers_are_marked_and_http_libraries_are_not() -> None:
    """A library posts on purpose, as a shop's server does; all else of the list is a robot."""
    crawlers = [
        (text, each["pattern"])
        for each in CRAWLER_USER_AGENTS_DATA
        if each.get("tags") != ["http-library"]
        for text in each.get("instances", [])
    ]
    missed = [(pattern, text) for text, pattern in crawlers if not read_user_agent(text).is_bot]
    print(f"crawlers marked: {len(crawlers) - len(missed)} of {len(crawlers)}")
    assert not missed
    assert not any(
        read_user_agent(text).is_bot for text in ("curl/8.5.0", "python-requests/2.32.3", "okhttp/4.12.0", "")
    )


def test_a_browser_that_a_program_drives_is_marked_by_its_hints() -> None:
    plain = BROWSERS[2][0]
    assert Enrichment().seen(scope(user_agent=plain, sec_ch_ua='"HeadlessChrome";v="142"'))["is_bot"] is True
    assert Enrichment().seen(scope(user_agent=plain.replace("Chrome/", "HeadlessChrome/")))["is_bot"] is True
    assert Enrichment().seen(scope(user_agent=plain))["is_bot"] is False
    driven = read_click(click(automated=True), received_ms=RECEIVED_MS, seen={"is_bot": False})
    assert driven.record["is_bot"] is True


def test_a_pixel_fetched_by_what_is_no_browser_is_a_robots() -> None:
    assert Enrichment().seen(scope(user_agent="curl/8.5.0"), image=True)["is_bot"] is True
    assert Enrichment().seen(scope(), image=True)["is_bot"] is True
    assert Enrichment().seen(scope(user_agent=BROWSERS[0][0]), image=True)["is_bot"] is False


def test_what_is_seen_fills_what_the_event_leaves_open_and_is_no_part_of_its_identity() -> None:
    seen = {"is_bot": False, "browser": "Firefox", "device_type": "mobile", "country": "AT", "country_source": "cdn"}
    own = click(browser="Mine", country="CH")
    plain, enriched = (read_click(own, received_ms=RECEIVED_MS, seen=each) for each in ({}, seen))
    assert enriched.content == plain.content
    assert {key: enriched.record[key] for key in ("browser", "device_type", "country")} == {
        "browser": "Mine",
        "device_type": click().get("device_type", "mobile"),
        "country": "CH",
    }
    assert "country_source" not in enriched.record
    assert read_click(click(), received_ms=RECEIVED_MS, seen=seen).record["country"] == "AT"


def test_the_door_enriches_and_the_dead_letter_stays_what_came(client: httpx.Client, writer: FakeWriter) -> None:
    headers = {"User-Agent": BROWSERS[12][0], "Accept-Language": "de-AT,de;q=0.9"}
    client.post("/v1/clicks", content=b'{"event_id":"a"}', headers=headers)
    (item,) = writer.items
    assert (item.text, item.record) == ('{"event_id":"a"}', {"event_id": "a"})
    assert dict(item.seen) == {
        "is_bot": False,
        "browser": "Mobile Safari",
        "os": "iOS",
        "device_type": "mobile",
        "language": "de-AT",
        "network": "127.0.0.0",
        "country": "AT",
        "country_source": "guessed",
    }


def test_a_country_is_believed_of_a_trusted_proxy_then_of_the_database_then_guessed(tmp_path: Path) -> None:
    file = tmp_path / "places.mmdb"
    at = {"country": {"iso_code": "AT"}, "subdivisions": [{"iso_code": "9"}]}
    mmdb.write(file, {"203.0.113.0/24": at, "2001:db8::/32": {"country": {"iso_code": "DE"}}})
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    door = Enrichment(file, ("cf-ipcountry",), trusted)

    def place(**given: Any) -> tuple[Any, ...]:
        found = door.seen(scope(**given))
        return tuple(found.get(name) for name in ("country", "region", "country_source"))

    forwarded = {"peer": "10.0.0.1", "x_forwarded_for": "203.0.113.5"}
    assert place(**forwarded, cf_ipcountry="FR") == ("FR", None, "cdn")
    assert place(**forwarded, cf_ipcountry="XX") == ("AT", "9", "database")
    assert place(peer="203.0.113.9", cf_ipcountry="FR") == ("AT", "9", "database")
    assert place(peer="2001:db8::1") == ("DE", None, "database")
    assert place(peer="198.51.100.1", accept_language="pt-BR,pt") == ("BR", None, "guessed")
    assert place(peer="198.51.100.1", accept_language="pt") == (None, None, None)


def test_a_database_that_is_replaced_is_read_anew_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file, now = tmp_path / "places.mmdb", [0.0]
    mmdb.write(file, {"203.0.113.0/24": {"country": {"iso_code": "AT"}}})
    places = Places(file, clock=lambda: now[0])
    for content, country in ((b"half written", "AT"), (None, "FR")):
        new = tmp_path / "new"
        mmdb.write(new, {"203.0.113.0/24": {"country": {"iso_code": "FR"}}})
        if content:
            new.write_bytes(content)
        new.replace(file)
        now[0] += 11
        found = places.find("203.0.113.1")
        assert found is not None
        assert found.country == country
    with pytest.raises(Misconfigured, match="geoip"):
        Places(tmp_path / "missing.mmdb")


def test_only_the_network_of_an_address_is_kept() -> None:
    assert Enrichment().seen(scope(peer="198.51.100.23"))["network"] == "198.51.100.0"
    assert Enrichment().seen(scope(peer="2001:db8:1:2::3"))["network"] == "2001:db8:1::"
    assert Enrichment().seen(scope(peer="::ffff:198.51.100.23"))["network"] == "198.51.100.0"
    assert "network" not in Enrichment().seen({"client": None, "headers": []})
