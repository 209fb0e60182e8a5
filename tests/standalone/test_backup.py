"""Backup while the service runs, and restore: everything acknowledged before it is in it, and nobody is revived."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from contract.errors import Misconfigured
from provisioning import certificate_authority
from provisioning.registry.sqlite import LocalRegistry
from provisioning.settings import ProvisioningSettings
from standalone.backup import back_up, restore
from standalone.child_processes import lock
from tests.standalone.up import MILEPOST, Up


def test_what_was_acknowledged_is_in_a_backup_of_the_running_service(up: Up, tmp_path: Path) -> None:
    url = up.start("--trucks", "1", "--shoppers", "1", "--speedup", "60")["http"]
    sample = {"truck_id": "B-1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    assert httpx.post(f"{url}/v1/telemetry", json=sample).json()["receipts"][0]["status"] == "accepted"
    done = up.ask("backup", str(tmp_path / "backup"))
    assert done["files"] > 2
    up.kill()
    other = Up(tmp_path / "other machine")
    assert other.ask("restore", str(tmp_path / "backup"))["kept_revoked"] == []
    assert len(other.ask("history", "B-1")) == 1
    verified = subprocess.run([*MILEPOST, "verify", "--data-dir", str(other.folder)], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr.decode()


def test_a_restore_over_a_retirement_revives_nobody_and_says_so(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "data", ProvisioningSettings())
    registry.init()
    registry.add("T1", {})
    serial = registry.issue("T1", certificate_authority.new_key()[1]).id
    back_up(tmp_path / "data", tmp_path / "backup")
    registry.retire("T1")
    registry.close()
    with pytest.raises(Misconfigured, match="--replace"):
        restore(tmp_path / "backup", tmp_path / "data")
    done = restore(tmp_path / "backup", tmp_path / "data", replace=True)
    assert done.kept_revoked == (serial,)
    assert done.replaced
    assert (done.replaced / "provisioning" / "registry.db").exists()
    again = LocalRegistry(tmp_path / "data", ProvisioningSettings())
    again.write_revocations()
    assert again.get("T1").active == ()
    again.close()


def test_a_damaged_backup_and_a_directory_in_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("x")
    back_up(tmp_path / "data", tmp_path / "backup")
    with lock(tmp_path / "data"), pytest.raises(Misconfigured, match="in use"):
        restore(tmp_path / "backup", tmp_path / "data", replace=True)
    (tmp_path / "backup" / "file").write_text("y")
    with pytest.raises(Misconfigured, match="damaged"):
        restore(tmp_path / "backup", tmp_path / "data", replace=True)
    assert (tmp_path / "data" / "file").read_text() == "x"
    assert "file" in json.loads((tmp_path / "backup" / "backup.json").read_text())["files"]
