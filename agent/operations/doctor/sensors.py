"""Checks of what measures: CAN interfaces, gpsd, files and devices, by the `[[agent.sensors]]` tables."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from agent.operations.doctor.finding import DoctorFinding
from agent.sensors import known_kinds, open_sensor
from agent.settings import AgentSettings, SensorSettings
from contract.errors import Misconfigured

_CAN = {"can", "j1939", "obd2"}
_SECONDS = 3.0
_RECEIVER_SECONDS = 5.0
_CORRECT = "correct this sensor's table in milepost.toml"
_CAN_TYPE = "280"  # ARPHRD_CAN
NETWORK = Path("/sys/class/net")


def sensors(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """One finding for each."""
    if not settings.sensors:
        yield DoctorFinding(
            "sensors", "failed", "none", 'add [[agent.sensors]] tables to the settings, e.g. type = "j1939"'
        )
    for sensor in settings.sensors:
        if sensor.type not in known_kinds():
            known = ", ".join(known_kinds())
            yield DoctorFinding("sensor", "failed", f'type "{sensor.type}" is unknown', f"use one of {known}")
        elif sensor.type in _CAN:
            yield _can(sensor)
        elif sensor.type == "gpsd":
            yield _gpsd(sensor)
        elif sensor.type == "exec":
            yield _program(sensor)
        else:
            yield _read_once(sensor, settings.interval)


def _can(sensor: SensorSettings) -> DoctorFinding:
    """A SocketCAN interface is looked at in /sys; other buses are left to the agent."""
    kind, _, channel = (sensor.path or "").partition("?")[0].rpartition(":")
    name = f"sensor {sensor.type}"
    if find_spec("can") is None:
        return DoctorFinding(name, "failed", "python-can is not installed", "pip install 'milepost[agent-can]'")
    if wrong := _refused(sensor):
        return DoctorFinding(name, "failed", wrong, _CORRECT)
    if kind not in ("", "socketcan"):
        return (
            _file(SensorSettings(type=sensor.type, path=channel))
            if channel.startswith("/")
            else DoctorFinding(
                name,
                "skipped",
                f"{sensor.path} is not a SocketCAN interface",
                "`milepost agent once` shows what it says",
            )
        )
    folder = NETWORK / channel
    how = "bitrate 500000" if sensor.type == "obd2" else "bitrate 250000 listen-only on"
    bitrate = f"ip link set {channel} up type can {how}"
    if not folder.exists():
        there = [each.name for each in NETWORK.glob("*") if _read(each / "type") == _CAN_TYPE]
        return DoctorFinding(
            name,
            "failed",
            f"no CAN interface {channel}",
            f"plug the adapter in and load its driver, or correct the path; here: {', '.join(sorted(there)) or 'none'}",
        )
    if _read(folder / "type") != _CAN_TYPE:
        return DoctorFinding(name, "failed", f"{channel} is a network interface, but not CAN", "correct its path")
    if _read(folder / "operstate") not in ("up", "unknown"):
        return DoctorFinding(name, "failed", f"{channel} is {_read(folder / 'operstate')}", bitrate)
    frames = _read(folder / "statistics" / "rx_packets") or "0"
    if frames == "0":
        return DoctorFinding(
            name,
            "warning",
            f"{channel} is up and has heard no frame",
            f"turn the ignition on; if that changes nothing, the bitrate is wrong (250 or 500 kbit/s): {bitrate}",
        )
    return DoctorFinding(name, "ok", f"{channel} is up, {int(frames):,} frames heard")


def _refused(sensor: SensorSettings) -> str | None:
    """Why the agent would refuse the table of a CAN sensor; None where it takes it."""
    from agent.sensors.can_address import parse_address
    from agent.sensors.can_dbc import understood

    try:
        parse_address(sensor.type, sensor.path)
        if sensor.type == "can":
            understood(sensor.path, sensor.dbc, sensor.map)
    except Misconfigured as error:
        return str(error)
    return None


def _program(sensor: SensorSettings) -> DoctorFinding:
    """Whether the program is there; it is not run, since nobody knows what it does."""
    from agent.sensors.command_output import refuse_what_cannot_be

    try:
        refuse_what_cannot_be(sensor.path, sensor.command, sensor.map)
    except Misconfigured as error:
        return DoctorFinding("sensor exec", "failed", str(error), _CORRECT)
    program = shutil.which(sensor.command[0])
    if program is None:
        remedy = "correct command, or make it executable for this user; a name alone is looked for in PATH"
        return DoctorFinding("sensor exec", "failed", f"there is no program {sensor.command[0]}", remedy)
    return DoctorFinding("sensor exec", "ok", f"{program} is there; `milepost agent once` shows what it says")


def _read_once(sensor: SensorSettings, interval: float) -> DoctorFinding:
    """Files, recordings and plug-ins: opened and read as the agent does it."""
    name, where = f"sensor {sensor.type}", sensor.path or sensor.type
    try:
        with closing(open_sensor(sensor.type, sensor.path, interval=interval, options=sensor.options)) as opened:
            reading = opened.read(datetime.now(UTC))
    except Misconfigured as error:
        return DoctorFinding(name, "failed", str(error), _CORRECT)
    except Exception as error:  # noqa: BLE001 - a plug-in's door
        return DoctorFinding(name, "failed", f"{where} fails: {type(error).__name__}: {error}", "mend the plug-in")
    if reading.values:
        count = len(reading.values)
        return DoctorFinding(name, "ok", f"{where} gives {count} value{'' if count == 1 else 's'}")
    if "error" in reading.quality.values():
        remedy = "look at the device and its driver; correct the path, or let this user read it"
        return DoctorFinding(name, "failed", f"{where} cannot be read", remedy)
    return DoctorFinding(name, "warning", f"{where} gives no value yet", "`milepost agent once` shows what it says")


def _gpsd(sensor: SensorSettings) -> DoctorFinding:
    from agent.sensors.gpsd.sensor import DEFAULT, parse_address

    try:
        address = parse_address(sensor.path or DEFAULT)
    except Misconfigured as error:
        return DoctorFinding("sensor gpsd", "failed", str(error), "correct the sensor's path")
    where = f"{address[0]}:{address[1]}"
    try:
        with socket.create_connection(address, timeout=_SECONDS) as line:
            line.settimeout(_SECONDS)
            greeting = line.recv(4096)
    except OSError as error:
        return DoctorFinding(
            "sensor gpsd",
            "failed",
            f"{where} does not answer: {error.strerror or error}",
            "start it: systemctl enable --now gpsd; its device stands in /etc/default/gpsd",
        )
    if b'"VERSION"' not in greeting:
        return DoctorFinding("sensor gpsd", "failed", f"{where} answers, but is not gpsd", "correct the sensor's path")
    return _fix(sensor, where)


def _fix(sensor: SensorSettings, where: str) -> DoctorFinding:
    """Whether a receiver speaks, and knows where it is."""
    from agent.sensors.gpsd.receiver import LATITUDE
    from agent.sensors.gpsd.sensor import GpsdSensor

    deadline = time.monotonic() + _RECEIVER_SECONDS
    with closing(GpsdSensor(sensor.path, interval=1)) as gpsd:
        while gpsd.heard is None and time.monotonic() < deadline:
            time.sleep(0.05)
        heard, fix = gpsd.heard is not None, LATITUDE in gpsd.read(datetime.now(UTC)).values
    if not heard:
        remedy = "plug the receiver in, and name its device in /etc/default/gpsd; gpsmon shows what comes from it"
        return DoctorFinding("sensor gpsd", "warning", f"{where} answers, but no receiver says anything", remedy)
    if not fix:
        remedy = "give the antenna a view of the sky; the first fix takes minutes"
        return DoctorFinding(
            "sensor gpsd", "warning", f"{where} has a receiver, which does not know where it is", remedy
        )
    return DoctorFinding("sensor gpsd", "ok", f"{where} has a receiver with a fix")


def _file(sensor: SensorSettings) -> DoctorFinding:
    path = Path(sensor.path or "")
    name = f"sensor {sensor.type}"
    try:
        if path.is_dir():
            return DoctorFinding(name, "ok", f"{path} is there")
        with path.open("rb"):
            return DoctorFinding(name, "ok", f"{path} can be read")
    except OSError as error:
        return DoctorFinding(name, "failed", str(error), "correct its path, or let this user read it")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
