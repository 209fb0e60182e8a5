"""`make audit` without a network: pip-audit itself, asked against a file of OSV records."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import concerns

ROOT = Path(__file__).resolve().parents[1]
PINS = "uvicorn==0.30.0 --hash=sha256:" + "0" * 64 + "\nhttptools==0.6.0 --hash=sha256:" + "0" * 64 + "\n"


def record(name: str, **affected: Any) -> dict[str, Any]:
    package = {"package": {"name": name, "ecosystem": "PyPI"}, **affected}
    dates = {"modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z"}
    return {"id": f"TEST-{name}", "details": "planted", "affected": [package], **dates}


def span(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


def audit(folder: Path, advisories: Path) -> subprocess.CompletedProcess[str]:
    pins = folder / "pins.txt"
    pins.write_text(PINS)
    argv = [sys.executable, "-m", "scripts.audit", "--advisories", str(advisories), str(pins)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("below", "code"), [("0.31", 1), ("0.30", 0)])
def test_a_pin_within_an_advisorys_range_is_named(tmp_path: Path, below: str, code: int) -> None:
    advisories = tmp_path / "all.zip"
    with zipfile.ZipFile(advisories, "w") as archive:
        found = record("Uvicorn", **span({"introduced": "0"}, {"fixed": below}))
        archive.writestr("TEST-1.json", json.dumps(found))
    done = audit(tmp_path, advisories)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("TEST-Uvicorn" in done.stdout) == (code == 1)


def test_a_file_that_holds_no_records_exits_2(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("nothing")
    done = audit(tmp_path, tmp_path / "x.json")
    assert (done.returncode, "holds no OSV records" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1.5", [{"introduced": "1.0"}, {"fixed": "2.0"}], True),
        ("2.0", [{"introduced": "1.0"}, {"fixed": "2.0"}], False),
        ("2.0", [{"introduced": "1.0"}, {"last_affected": "2.0"}], True),
        ("2.1", [{"introduced": "1.0"}, {"last_affected": "2.0"}], False),
        ("0.9", [{"introduced": "1.0"}], False),
        ("3.1", [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "3.0"}], True),
        ("1.10", [{"introduced": "1.9"}, {"fixed": "1.11"}], True),
    ],
)
def test_ranges_are_read_as_the_osv_schema_says(version: str, events: list[dict[str, str]], hit: bool) -> None:
    assert concerns(record("x", **span(*events)), version) is hit
