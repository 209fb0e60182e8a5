"""What the truck's page shows of time, units, gaps and lateness, in a real browser."""

import shutil
from pathlib import Path

import pytest

from console.settings import ConsoleSettings
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import serving
from tests.contract.examples import RECEIVED_MS, sample

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
INK = """([index, name]) => {
    const canvas = document.querySelectorAll(".plot canvas")[index];
    const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi);
    const wanted = colour.map((each) => parseInt(each, 16));
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const inked = [];
    for (let x = 0; x < width; x += 1) {
        let found = false;
        for (let y = 0; y < height && !found; y += 1)
            found = wanted.every((each, of) => Math.abs(data[4 * (y * width + x) + of] - each) < 40);
        inked.push(found);
    }
    return inked;
}"""
"""Of each column of a plot, whether it has ink of a colour of the page."""


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_gaps_are_gaps_what_came_late_is_marked_and_times_and_units_are_the_viewers(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    for number, minute in enumerate((*range(60), *range(180, 240)), 1):
        ms = RECEIVED_MS + minute * 60_000
        record = sample(seq=number, sampled_at=timestamps.from_ms(ms), vehicle_speed=100)
        late_ms = 3_600_000 if 200 <= minute < 220 else 1_000
        collector.take(record, received_ms=ms + late_ms)
    collector.close()
    with serving(tmp_path, ConsoleSettings()) as url:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(timezone_id="Asia/Tokyo", locale="en-GB")
            page.goto(f"{url}/truck/T1")
            page.get_by_text("20 of 120 samples came over five minutes late").wait_for(timeout=60_000)
            line = page.evaluate(INK, [0, "--accent"])
            first, last = line.index(True), len(line) - line[::-1].index(True)
            longest = max(map(len, "".join(" x"[each] for each in line[first:last]).split("x")))
            assert 0.4 < longest / (last - first) < 0.6  # two hours of four
            marked = [nth for nth, each in enumerate(page.evaluate(INK, [0, "--care"])) if each]
            assert marked
            assert (min(marked) - first) / (last - first) > 0.75
            at = page.locator("h1 + span time")
            assert at.get_attribute("datetime") == "2024-06-01T15:59:00.000Z"
            assert at.get_attribute("title") == "2024-06-01 15:59:00 UTC"
            assert "00:59" in at.inner_text()  # of the next day
            tile = page.locator(".tile").first
            assert tile.inner_text().split() == ["100", "km/h"]
            page.get_by_text("Units").click()
            page.get_by_label("Speed").select_option("mph")
            page.locator(".tile", has_text="mph").wait_for(timeout=60_000)
            assert tile.inner_text().split() == ["62", "mph"]
            page.reload()  # this browser keeps it
            page.locator(".tile", has_text="mph").wait_for(timeout=60_000)
            browser.close()
