"""docs/sensor-plugins.md, executed: the page's package, found by its entry point, through `agent once`."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/sensor-plugins.md"
TYRES = "vehicle_health_and_maintenance"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What pip makes of the page's two files: the module, and the entry point in its metadata."""
    files = dict(re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    folder = tmp_path / "site"
    metadata = folder / "tyre_file-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "tyre_file.py").write_text(files["tyre_file.py"])
    project = tomllib.loads(files["pyproject.toml"])["project"]
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    points = "".join(f"{name} = {target}\n" for name, target in project["entry-points"]["milepost.sensors"].items())
    (metadata / "entry_points.txt").write_text(f"[milepost.sensors]\n{points}")
    return folder


def _once(package: Path, tmp_path: Path, written: str) -> dict[str, Any]:
    (tmp_path / "tyres").write_text(written)
    (tmp_path / "milepost.toml").write_text(
        f'[agent]\ntruck_id = "T1"\nbroker = "mqtt://127.0.0.1:1"\nbuffer = "{tmp_path}/buffer.db"\n'
        f'[[agent.sensors]]\ntype = "tyre_file"\npath = "{tmp_path}/tyres"\n'
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "milepost", "agent", "once", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    sample: dict[str, Any] = json.loads(done.stdout)["sample"]
    return sample


def test_the_page_s_sensor_measures(package: Path, tmp_path: Path) -> None:
    sample = _once(package, tmp_path, "812 805 640 99999999")
    assert sample[TYRES]["tire_pressure"] == {
        "front_left": 117.77,
        "front_right": 116.76,
        "rear_left": 92.82,
        "rear_right": None,
    }
    assert sample["quality"][f"{TYRES}.tire_pressure.rear_right"] == "implausible"


def test_what_cannot_be_read_is_an_error(package: Path, tmp_path: Path) -> None:
    assert _once(package, tmp_path, "no numbers")["quality"][f"{TYRES}.tire_pressure"] == "error"
