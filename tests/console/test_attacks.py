"""What strangers write into addresses and fields stays text: in the page, in headers and in names of files."""

import shutil
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.collector.stores_on_disk import Collector
from tests.console.records import SCRIPT
from tests.contract.examples import click

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.mark.parametrize("truck_id", ['T1"; filename="evil.html', "T1\r\nSet-Cookie: milepost_session=x", "Ω", "../T1"])
@pytest.mark.parametrize("format", ["gpx", "csv"])
def test_an_address_writes_no_header_and_no_other_file(url: str, truck_id: str, format: str) -> None:
    path = f"{url}/api/v1/trucks/{quote(truck_id, safe='')}/track"
    answer = httpx.get(path, params={"format": format}, timeout=60)
    assert "set-cookie" not in answer.headers
    if answer.status_code == 200:
        name = answer.headers["content-disposition"].removeprefix('attachment; filename="').removesuffix('"')
        assert Path(name).name == name
        assert not set(name) & set('";\\\r\n')
    else:
        assert answer.status_code in (404, 422)


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_nothing_of_an_address_or_of_any_field_of_an_event_is_run(url: str, collector: Collector) -> None:
    from playwright.sync_api import sync_playwright

    texts = ("page", "referrer_url", "utm_source", "utm_campaign", "item_id", "item_name")
    evil = dict.fromkeys(texts, SCRIPT)
    collector.take(click(event_id="evil", session_id=SCRIPT, **evil), kind="click")
    said = quote(SCRIPT, safe="")
    addresses = {
        f"/truck/{said}": "no sample of",
        f"/?at={said}": "Fleet",
        f"/truck/T1?at={said}": "Truck",
        f"/shop?hours=900000&by=item&page={said}": f"page: {SCRIPT}",
        f"/shop?hours=900000&by=source&steps={said},{said}": "onerror",
        "/shop?by=__proto__&hours=constructor": "Sessions",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("dialog", lambda dialog: dialog.dismiss())
        for address, shown in addresses.items():
            page.goto(url + address)
            page.locator("main").get_by_text(shown).first.wait_for(timeout=60_000)
            assert page.locator("main img").count() == 0, address
            assert page.title() != "owned", address
        browser.close()
