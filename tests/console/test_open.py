"""`milepost console open`: the address of `up.json`, in the desktop's browser or on the screen."""

import json
from pathlib import Path

from tests.milepost_process import run
from tests.waiting import until


def test_it_opens_where_a_desktop_is_and_says_where_it_is_elsewhere(tmp_path: Path) -> None:
    missing = run("console", "open", "--data-dir", tmp_path, "--wait", "0", DISPLAY="", WAYLAND_DISPLAY="")
    assert (missing.code, "start `milepost up`" in missing.err) == (2, True)
    (tmp_path / "up.json").write_text(json.dumps({"http": "http://127.0.0.1:8080"}))
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)
    seen = run("console", "open", "--data-dir", tmp_path, DISPLAY=":0", BROWSER=str(browser))
    assert (seen.code, seen.out) == (0, b"")
    until(lambda: opened.exists() and opened.read_text())
    assert opened.read_text() == "http://127.0.0.1:8080/\n"
    blind = run("console", "open", "--data-dir", tmp_path, DISPLAY="", WAYLAND_DISPLAY="", BROWSER=str(browser))
    assert (blind.code, blind.out.decode().split()) == (0, ["http://127.0.0.1:8080/"])
    assert opened.read_text().count("\n") == 1
