"""Each step of provisioning, killed at every operation and said again, ends as if it had run once; and what a kill
leaves is never open to somebody who was shut out, nor closed to somebody who was let in."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provisioning import certificate_authority
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from standalone.backup import back_up
from tests.provisioning.kill_points import SPARE_KEY

ROOT = Path(__file__).resolve().parents[2]
LEAST_KILLS = {
    "init": 20,
    "add": 5,
    "rotate": 5,
    "retire": 5,
    "ca_rotate": 8,
    "ca_finish": 10,
    "replace_ca": 10,
    "restore": 10,
}


def before(folder: Path, step: str) -> None:
    """A data directory with one truck that is changing its certificate, and one that was retired."""
    data = folder / "before"
    data.mkdir(parents=True)
    if step == "init":
        return
    registry = LocalRegistry(data, ProvisioningSettings())
    registry.init()
    for truck_id, certificates in (("T1", 2), ("GONE", 1)):
        registry.add(truck_id, {})
        for _ in range(certificates):
            registry.issue(truck_id, certificate_authority.new_key()[1])
    if step == "restore":
        back_up(data, folder / "backup")
    registry.retire("GONE")
    if step == "ca_finish":
        registry.rotate_authority()
        registry.issue("T1", certificate_authority.new_key()[1])
        registry.revoke_others("T1", registry.get("T1").active[0].id)
    (data / SPARE_KEY).write_text(certificate_authority.new_key()[1])
    registry.close()


ENDS: dict[str, dict[str, Any]] = {
    "init": {"active": [], "roots": 1},
    "add": {"active": ["NEW", "T1", "T1"], "roots": 1},
    "rotate": {"active": ["T1"], "roots": 1},
    "retire": {"active": [], "roots": 1},
    "ca_rotate": {"active": ["T1", "T1"], "roots": 2},
    "ca_finish": {"active": ["T1"], "roots": 1},
    "replace_ca": {"active": [], "roots": 1},
    "restore": {"active": ["T1", "T1"], "roots": 1},
}


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.prove)])
@pytest.mark.parametrize("step", list(ENDS))
def test_killed_anywhere_and_said_again_it_ends_as_if_it_had_run_once(tmp_path: Path, step: str, every: int) -> None:
    before(tmp_path, step)
    argv = [sys.executable, "-m", "tests.provisioning.kill_points", step, str(tmp_path), str(every)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    for report in reports:
        assert report["again"] == 0, (report, done.stderr)
        end = report["end"]
        assert {key: end[key] for key in ENDS[step]} == ENDS[step], report
        assert (end["server"], end["trusted"], end["revived"], end["let_in"]) == (True, True, [], []), report
        if left := report["left"]:
            assert (left["trusted"], left["revived"], left["let_in"]) == (True, [], []), report
            assert "GONE" not in left["active"], report
            assert left["states"]["GONE"] == "retired" or step == "restore", report  # listed again, as the docs say
    kills = sum(report["ended"] == -9 for report in reports)
    assert kills >= LEAST_KILLS[step] // every
    print(f"{step}: {kills} kill points")
