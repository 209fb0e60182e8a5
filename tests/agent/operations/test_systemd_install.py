"""The service's unit and the steps to it."""

import configparser
import os
import pwd
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent.operations.systemd_install import Machine, carry_out, plan_install, plan_uninstall, unreadable
from agent.operations.systemd_unit import NAME, Service, unit_text
from agent.settings import AgentSettings, SensorSettings
from contract.errors import MilepostError, Misconfigured


def _service(**more: object) -> Service:
    values = {
        "truck_id": "T1",
        "python": Path("/opt/milepost/bin/python"),
        "base": Path("/usr"),
        "config": Path("/etc/milepost/milepost.toml"),
        "buffer": Path("/var/lib/milepost/buffer.db"),
    }
    return Service(**(values | more))  # type: ignore[arg-type]


def _parsed(service: Service) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit_text(service))
    return parser["Service"]


@pytest.mark.parametrize("user", ["milepost", None])
def test_systemd_has_nothing_to_say_against_it(tmp_path: Path, user: str | None) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not here: apt-get install systemd")
    python = shutil.which("python3")
    assert python
    unit = tmp_path / NAME
    unit.write_text(unit_text(_service(python=Path(python), devices=("/dev/ttyACM0",), user=user)))
    manager = "--system" if user else "--user"
    done = subprocess.run(
        [analyze, "verify", manager, str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if NAME in line]) == (0, [])


def test_it_may_write_its_buffer_and_ask_for_the_time_and_not_much_else() -> None:
    unit = _parsed(_service())
    assert unit["StateDirectory"] == "milepost"
    assert "ReadWritePaths" not in unit
    assert (unit["ProtectSystem"], unit["ProtectHome"], unit["User"]) == ("strict", "yes", "milepost")
    assert "ProtectClock" not in unit
    assert "adjtimex" in unit_text(_service())
    assert "AF_CAN" in unit["RestrictAddressFamilies"]
    assert (unit["Type"], unit["Restart"], unit["WatchdogSignal"]) == ("notify", "always", "SIGTERM")


def test_other_places_and_devices_are_let_in() -> None:
    unit = _parsed(
        _service(python=Path("/home/me/venv/bin/python"), buffer=Path("/data/b.db"), devices=("/dev/ttyUSB0",))
    )
    assert (unit["ReadWritePaths"], unit["ProtectHome"]) == ("/data", "read-only")
    assert unit["DeviceAllow"] == "/dev/ttyUSB0 rw"


@pytest.mark.parametrize("home", ["/home/me", pwd.getpwuid(0).pw_dir], ids=["a user", "the superuser"])
def test_a_python_that_lies_in_a_home_is_not_hidden_from_the_service(home: str) -> None:
    """pyenv's: the virtual environment in /opt only points to it."""
    assert _parsed(_service(base=Path(home, "python/3.12")))["ProtectHome"] == "read-only"


def test_odd_paths_are_quoted() -> None:
    unit = _parsed(_service(config=Path("/etc/my trucks/100%.toml")))
    assert unit["ExecStart"] == '/opt/milepost/bin/python -m agent --config "/etc/my trucks/100%%.toml"'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A user's own manager that does not run."""
    return Machine(tmp_path / "units", own=True, running=False, has_user=False)


def _settings(tmp_path: Path) -> AgentSettings:
    sensor = SensorSettings(type="j1939", path="slcan:/dev/ttyACM0?bitrate=500000")
    return AgentSettings(truck_id="T1", buffer=tmp_path / "buffer.db", sensors=(sensor,))


def test_install_twice_and_uninstall_leave_the_buffer(tmp_path: Path, machine: Machine) -> None:
    settings = _settings(tmp_path)
    settings.buffer.write_bytes(b"samples")
    for _ in range(2):
        carry_out(plan_install(settings, tmp_path / "milepost.toml", machine), machine)
        assert str(tmp_path / "milepost.toml") in machine.unit.read_text()
    carry_out(plan_uninstall(machine), machine)
    assert not machine.unit.exists()
    assert settings.buffer.read_bytes() == b"samples"
    with pytest.raises(Misconfigured, match="nothing is installed"):
        plan_uninstall(machine)


def test_the_system_service_gets_a_user_its_folder_and_its_devices(tmp_path: Path) -> None:
    machine = Machine(tmp_path, own=False, running=True, has_user=False)
    (tmp_path / "buffer.db-wal").touch()
    steps = plan_install(_settings(tmp_path), tmp_path / "milepost.toml", machine)
    assert [step.command[0] for step in steps if step.command] == [
        "useradd",
        "install",
        "chown",
        "systemctl",
        "systemctl",
        "systemctl",
    ]
    assert any("DeviceAllow=/dev/ttyACM0 rw" in (step.text or "") for step in steps)


def test_what_cannot_be_is_said_before_anything_is_done(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Misconfigured, match=r"buffer.*absolute"):
        plan_install(AgentSettings(truck_id="T1"), tmp_path / "milepost.toml", machine)
    with pytest.raises(Misconfigured, match="settings file"):
        plan_install(_settings(tmp_path), None, machine)
    system = Machine(tmp_path / "units", own=False, running=False, has_user=True)
    steps = plan_install(_settings(tmp_path), tmp_path / "milepost.toml", system)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Misconfigured, match="sudo"):
        carry_out(steps, system)
    assert not system.unit.exists()


def test_a_step_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine = Machine(tmp_path / "file", own=True, running=False, has_user=False)
    with pytest.raises(MilepostError, match="could not write"):
        carry_out(plan_install(_settings(tmp_path), tmp_path / "milepost.toml", machine), machine)


def test_what_the_services_user_cannot_reach_is_named(tmp_path: Path) -> None:
    """A key for its owner only, in a folder that others may enter."""
    key = tmp_path / "key.pem"
    key.touch(0o600)
    certificate = tmp_path / "certificate.pem"
    certificate.touch(0o644)
    settings = replace(_settings(tmp_path), broker="mqtts://h", certificate=certificate, key=key)
    config = tmp_path / "milepost.toml"
    config.touch(0o644)
    (tmp_path / "closed").mkdir(mode=0o700)
    notes = unreadable(replace(settings, buffer=tmp_path / "closed" / "b" / "buffer.db"), config)
    assert notes[0] == f"{key} cannot be read by milepost: chgrp milepost, chmod 640"
    assert [note for note in notes if "out of reach" in note]


def test_an_enrolled_truck_may_renew_its_certificate(tmp_path: Path) -> None:
    """The folder of keys belongs to the service and may be written by it."""
    identity = tmp_path / "identity"
    (identity / "1").mkdir(parents=True)
    (identity / "current").symlink_to("1")
    settings = replace(
        _settings(tmp_path),
        broker="mqtts://h",
        certificate=identity / "current" / "certificate.pem",
        key=identity / "current" / "key.pem",
    )
    steps = plan_install(
        settings, tmp_path / "milepost.toml", Machine(tmp_path, own=False, running=False, has_user=True)
    )
    assert ("chown", "-R", "milepost:milepost", str(identity)) in [step.command for step in steps]
    assert any(f"ReadWritePaths={identity}" in (step.text or "") for step in steps)
