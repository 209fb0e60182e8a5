"""docs/agent.md, "Signals of your own", executed: its files, its settings, and the sample that it promises."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs/agent.md"

pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")
pytest.importorskip("cantools", reason="cantools is not installed: pip install 'milepost[agent-can]'")


def test_the_page_s_trailer_is_in_the_sample(tmp_path: Path) -> None:
    """A recording stands for the bus that the page's settings name."""
    section = PAGE.read_text().split("## Signals of your own")[1].split("\n## ")[0]
    files = dict(re.findall(r"`(\S+)`:\n\n```\n(.*?)```", section, re.DOTALL))
    (tmp_path / "reefer.dbc").write_text(files["reefer.dbc"])
    (tmp_path / "seal.sh").write_text(files["seal.sh"])
    frames = (f"({1_700_000_000 + n / 10:.6f}) can2 1A3#D7FF030000000000\n" for n in range(100))
    (tmp_path / "bus.log").write_text("".join(frames))
    settings = files["milepost.toml"].replace('"can2"', f'"capture:{tmp_path}/bus.log"')
    agent = f'[agent]\ntruck_id = "T1"\nbroker = "mqtt://127.0.0.1:1"\nbuffer = "{tmp_path}/buffer.db"\n'
    (tmp_path / "milepost.toml").write_text(agent + settings)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "milepost", "agent", "once", "--json"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    sample: dict[str, Any] = json.loads(done.stdout)["sample"]
    promised = {
        "cargo_temperature": -4.1,
        "rear_door_open": True,
        "reefer_mode": "cooling",
        "seal": "locked",
        "seal_battery": 3.61,
    }
    assert sample["custom"] == promised
    told = section.split("then has `custom`:")[1].split("\n`can`:")[0].replace("−", "-")
    assert all(
        f"`{name}` {json.dumps(value).strip(chr(34))}" in " ".join(told.split()) for name, value in promised.items()
    )
