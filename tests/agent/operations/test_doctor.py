"""What the doctor finds, each with its remedy: against real brokers, files and sockets."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

from agent.buffer.sqlite import SqliteBuffer
from agent.operations.doctor import connection, examine, machine, sensors
from agent.operations.doctor.certificate import valid_until
from agent.operations.doctor.finding import DoctorFinding
from agent.operations.lock_owner import holder
from agent.settings import AgentSettings, SensorSettings
from agent.transport.endpoint import Tls
from contract.settings import judged
from tests.agent.live import Broker
from tests.agent.pki import Authority
from tests.agent.sensors.gpsd.daemon import Server
from tests.agent.trucks import TRUCK


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of all certificates here."""
    return Authority(tmp_path_factory.mktemp("pki"))


def _settings(folder: Path, **more: object) -> AgentSettings:
    return judged("agent", AgentSettings, {"truck_id": TRUCK, "buffer": folder / "buffer.db"} | more, "a test")


def _secure(folder: Path, broker: Broker, tls: Tls) -> AgentSettings:
    return _settings(
        folder, broker=f"mqtts://127.0.0.1:{broker.port}", ca=tls.ca, certificate=tls.certificate, key=tls.key
    )


def _only(findings: Iterator[DoctorFinding]) -> DoctorFinding:
    found = list(findings)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("days", [-1, 1, 365, 365 * 40])
def test_the_end_of_a_certificate_is_read_as_cryptography_does(authority: Authority, days: int) -> None:
    """From 2050 on it is written in another form."""
    path = authority.issue(f"for-{days}", timedelta(days=days)).certificate
    assert path
    known = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    assert valid_until(path) == known


def test_what_is_no_certificate_says_so(tmp_path: Path) -> None:
    for text in ("", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (tmp_path / "c.pem").write_text(text)
        with pytest.raises(ValueError, match="certificate in"):
            valid_until(tmp_path / "c.pem")


def test_certificates_that_end_soon_or_have_ended(authority: Authority, broker: Broker, tmp_path: Path) -> None:
    states = []
    for days in (-2, 5, 100):
        tls = authority.issue("T1", timedelta(days=days))
        ca, mine = connection.certificates(_secure(tmp_path, broker, tls))
        states.append(mine.state)
        assert ca.state == "warning"
        assert ("enroll --renew" in mine.remedy) == (mine.state == "warning")
        assert ("provision bundle" in mine.remedy) == (mine.state == "failed")  # neither a box nor AWS renews that
    assert states == ["failed", "warning", "ok"]


def test_the_broker_lets_the_truck_in(authority: Authority, make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    broker = make_broker(authority.mosquitto())
    found = _only(connection.broker(_secure(tmp_path, broker, authority.issue("T1"))))
    assert (found.state, "lets T1 in" in found.found) == ("ok", True)


def test_why_the_broker_does_not(authority: Authority, make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    broker = make_broker(authority.mosquitto())
    other = Authority(tmp_path / "other")
    known, foreign = authority.issue("T1"), other.issue("T1")
    stranger = Tls(known.ca, foreign.certificate, foreign.key)
    sceptic = Tls(foreign.ca, known.certificate, known.key)
    for tls, words in ((stranger, "refuses this truck's certificate"), (sceptic, "not to be trusted")):
        found = _only(connection.broker(_secure(tmp_path, broker, tls)))
        assert (found.state, words in found.found, bool(found.remedy)) == ("failed", True, True), found
    broker.kill()
    found = _only(connection.broker(_secure(tmp_path, broker, known)))
    assert (found.state, "does not answer" in found.found) == ("failed", True)
    found = _only(connection.broker(_settings(tmp_path, broker="mqtt://nowhere.invalid")))
    assert (found.state, "has no address" in found.found) == ("failed", True)


def test_a_brokers_certificate_that_has_run_out_is_the_brokers_or_the_clocks(
    authority: Authority, make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    """A truck's clock that starts in 1970 looks just so."""
    lines = authority.mosquitto()
    authority.issue("localhost", timedelta(days=-1))
    found = _only(connection.broker(_secure(tmp_path, make_broker(lines), authority.issue("T1"))))
    assert (found.state, "expired" in found.found) == ("failed", True)
    assert "renew the broker's certificate" in found.remedy
    assert "clock" in found.remedy


def test_a_running_agents_connection_is_left_alone(broker: Broker, tmp_path: Path) -> None:
    """Who runs is seen in the kernel's list of locks."""
    import os

    settings = _settings(tmp_path, broker=broker.url)
    assert holder(settings.buffer) is None
    with SqliteBuffer(settings.buffer, TRUCK):
        assert holder(settings.buffer) == os.getpid()
        found = _only(connection.broker(settings))
        assert f"pid {os.getpid()}" in found.found
    assert holder(settings.buffer) is None


def test_a_broker_that_takes_no_samples_of_a_running_agent_is_a_fault(broker: Broker, tmp_path: Path) -> None:
    """The agent's own notes tell what its connection is left alone for: no login, or refused ever since."""
    settings = _settings(tmp_path, broker=broker.url)
    with SqliteBuffer(settings.buffer, TRUCK) as buffer:
        buffer.note({"connection": "lost: refused: Not authorized", "connection_at": "2026-01-31T12:00:00.000Z"})
        found = _only(connection.broker(settings))
        assert (found.state, "Not authorized" in found.found, "log" in found.remedy) == ("warning", True, True)
        refusal = {"last_refusal": "135 Not authorized", "last_refusal_at": "2026-01-31T12:00:01.000Z"}
        buffer.note({"connection": "connected", **refusal})
        found = _only(connection.broker(settings))
        assert (found.state, "135 Not authorized" in found.found, "ACL" in found.remedy) == ("failed", True, True)
        seq = buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"}).seq
        buffer.mark_sent([seq], at="2026-01-31T12:00:02.000Z")
        assert _only(connection.broker(settings)).state == "ok"


def test_a_damaged_buffer_and_one_that_is_set_aside(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert _only(machine.buffer(settings)).state == "skipped"
    with SqliteBuffer(settings.buffer, TRUCK) as buffer:
        for _ in range(300):
            buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z"})
    found = _only(machine.buffer(settings))
    assert (found.state, "300 waiting" in found.found) == ("ok", True)
    (tmp_path / "buffer.db.damaged-20260101T000000-ab").touch()
    assert [each.state for each in machine.buffer(settings)] == ["ok", "warning"]
    content = bytearray(settings.buffer.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    settings.buffer.write_bytes(content)
    found = next(machine.buffer(settings))
    assert (found.state, "sets" in found.remedy) == ("failed", True)


def test_the_disk_must_hold_the_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {each.check: each.state for each in machine.disk(_settings(tmp_path / "new", buffer_limit=1))}
    assert (states["disk space"], states["disk"]) == ("ok", "ok")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1.1 * 1024 * 1024))
    space = next(machine.disk(_settings(tmp_path, buffer_limit=1)))
    assert (space.state, "buffer_limit (1 MB)" in space.remedy) == ("failed", True)
    assert list(tmp_path.iterdir()) == []


def test_can_interfaces_as_the_kernel_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "NETWORK", tmp_path)
    for name, kind, state, frames in (
        ("can0", "280", "up", "12"),
        ("can1", "280", "down", "0"),
        ("eth0", "1", "up", "9"),
    ):
        (tmp_path / name / "statistics").mkdir(parents=True)
        (tmp_path / name / "type").write_text(f"{kind}\n")
        (tmp_path / name / "operstate").write_text(f"{state}\n")
        (tmp_path / name / "statistics" / "rx_packets").write_text(f"{frames}\n")

    def look(path: str) -> DoctorFinding:
        return _only(sensors.sensors(_settings(tmp_path, sensors=(SensorSettings(type="j1939", path=path),))))

    assert look("can0").state == look("socketcan:can0").state == "ok"
    assert "ip link set can1 up" in look("can1").remedy
    assert "not CAN" in look("eth0").found
    assert "can0, can1" in look("can7").remedy
    (tmp_path / "can0" / "statistics" / "rx_packets").write_text("0\n")
    assert (look("can0").state, "ignition" in look("can0").remedy) == ("warning", True)


def test_a_type_is_known_if_it_can_be_opened(tmp_path: Path) -> None:
    """A plugin's too, such as the simulator's."""
    checked = _settings(tmp_path, sensors=(SensorSettings(type="simulated"), SensorSettings(type="gps")))
    known, unknown = sensors.sensors(checked)
    assert (known.state, "values" in known.found) == ("ok", True)
    assert (unknown.found, "gpsd, j1939" in unknown.remedy) == ('type "gps" is unknown', True)


@pytest.mark.parametrize(
    ("table", "state", "told"),
    [
        ({"type": "environment", "path": "{}/iio*"}, "ok", "gives 1 value"),
        ({"type": "environment", "path": "{}/hwmon*"}, "failed", "cannot be read"),
        ({"type": "replay", "path": "{}"}, "failed", "directory"),
        ({"type": "exec", "command": ("sh", "-c", "exit 1")}, "ok", "/sh is there"),
        ({"type": "exec", "command": ("{}/none",)}, "failed", "no program"),
        ({"type": "exec", "command": ("sh",), "map": {"a": "b"}}, "failed", "no field of the wire"),
        ({"type": "can", "path": "can0", "dbc": "{}/none.dbc", "map": {"A": "custom.a"}}, "failed", "none.dbc"),
        ({"type": "obd2", "path": "can0?ask=maybe"}, "failed", "yes or no"),
        ({"type": "j1939"}, "failed", "needs path"),
    ],
)
def test_each_sensor_is_looked_at_as_the_agent_opens_it(
    tmp_path: Path, table: dict[str, Any], state: str, told: str
) -> None:
    if table["type"] in ("can", "obd2", "j1939"):
        pytest.importorskip("cantools")
    (tmp_path / "iio7").mkdir()
    (tmp_path / "iio7" / "in_temp_input").write_text("21500\n")
    placed = json.loads(json.dumps(table).replace("{}", str(tmp_path)))
    found = _only(sensors.sensors(_settings(tmp_path, sensors=(judged("agent", SensorSettings, placed, "a test"),))))
    assert (found.state, told in found.found) == (state, True), found
    assert bool(found.remedy) == (state != "ok")


FIX = b'{"class":"TPV","device":"gps","mode":3,"lat":52.1,"lon":5.2,"altMSL":15.5,"speed":10.0}'


@pytest.mark.parametrize(
    ("lines", "state", "remedy"),
    [([FIX], "ok", ""), ([b'{"class":"TPV","device":"gps","mode":1}'], "warning", "sky"), ([], "warning", "receiver")],
)
def test_gpsd_is_asked_whether_its_receiver_has_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], state: str, remedy: str
) -> None:
    monkeypatch.setattr(sensors, "_RECEIVER_SECONDS", 1.0)
    server = Server(lines)
    try:
        found = _gpsd(tmp_path, server.port)
    finally:
        server.close()
    assert (found.state, remedy in found.remedy) == (state, True)


def test_what_is_no_gpsd_and_what_is_not_there_fail(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            client.sendall(b"SSH-2.0\r\n")
            client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        assert "not gpsd" in _gpsd(tmp_path, port).found
        thread.join()
    assert _gpsd(tmp_path, port).state == "failed"


def _gpsd(tmp_path: Path, port: int) -> DoctorFinding:
    sensor = SensorSettings(type="gpsd", path=f"127.0.0.1:{port}")
    return _only(sensors.sensors(_settings(tmp_path, sensors=(sensor,))))


def test_every_failure_has_a_remedy_and_one_broken_check_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: AgentSettings) -> Iterator[DoctorFinding]:
        raise RuntimeError("oops")
        yield

    monkeypatch.setattr(machine, "disk", broken)
    found = list(examine(_settings(tmp_path, broker="mqtt://127.0.0.1:1")))
    assert {"clock", "sensors", "disk", "buffer", "certificate", "broker", "service"} <= {each.check for each in found}
    assert all(each.remedy for each in found if each.state in ("failed", "warning"))


def test_a_clock_that_cannot_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Early(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Early":
            return cls(1970, 1, 1, 0, 1, tzinfo=UTC)

    monkeypatch.setattr(machine, "datetime", Early)
    found = _only(machine.clock(_settings(tmp_path)))
    assert (found.state, "1970" in found.found) == ("failed", True)


def test_an_ipv6_gpsd_is_understood(tmp_path: Path) -> None:
    """Nothing listens there, which is said of the address that was meant."""
    sensor = SensorSettings(type="gpsd", path="[::1]:1")
    found = _only(sensors.sensors(_settings(tmp_path, sensors=(sensor,))))
    assert found.found.startswith("::1:1 does not answer")
