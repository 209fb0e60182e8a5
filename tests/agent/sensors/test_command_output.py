"""A program of the fleet's own as a sensor: what it says, and that nothing it does costs more than its own values."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.sensors import Reading, open_sensor
from agent.sensors.command_output import MOST_OUTPUT, MOST_TARGETS, CommandSensor
from contract.errors import Misconfigured
from tests.waiting import until

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEMPERATURE, DOOR = "custom.cargo_temperature", "custom.door_open"
Opened = Callable[..., CommandSensor]


@pytest.fixture
def opened() -> Iterator[Opened]:
    made: list[CommandSensor] = []

    def make(script: str, *, interval: float = 0.2, **more: object) -> CommandSensor:
        options = {"command": ("/bin/sh", "-c", script), "map": {"temp": TEMPERATURE}} | more
        made.append(open_sensor("exec", None, interval=interval, options=options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for sensor in made:
        sensor.close()


def _read(sensor: CommandSensor, leaf: str = TEMPERATURE) -> object:
    reading = sensor.read(NOW)
    return reading.values.get(leaf, reading.quality.get(leaf))


def test_the_last_line_counts_and_a_key_goes_where_the_map_says_or_where_it_names(opened: Opened) -> None:
    line = '{"temp": 4.5, "custom.door_open": true, "environmental_conditions.humidity": 71, "custom.note": "ok"}'
    sensor = opened(f"echo starting; echo '{line}'; echo")
    until(lambda: _read(sensor) == 4.5)
    assert sensor.read(NOW) == Reading(
        {TEMPERATURE: 4.5, DOOR: True, "environmental_conditions.humidity": 71.0, "custom.note": "ok"}, {}
    )
    assert sensor.heard is not None


def test_what_cannot_be_is_implausible_and_null_is_not_available(opened: Opened) -> None:
    line = '{"temp": [1], "environmental_conditions.humidity": 130, "custom.a": null, "vehicle_speed": true}'
    sensor = opened(f"echo '{line}'")
    until(lambda: _read(sensor) == "implausible")
    assert sensor.read(NOW).quality == {
        TEMPERATURE: "implausible",
        "environmental_conditions.humidity": "implausible",
        "custom.a": "not_available",
        "vehicle_speed": "implausible",
    }


@pytest.mark.parametrize(
    "script",
    ["exit 3", "echo '{\"temp\": 4}'; exit 3", "echo no json", "echo 4", "true", "head -c 10000000 /dev/zero"],
    ids=["code", "a line and a code", "prose", "a number", "nothing", "ten megabytes"],
)
def test_a_program_that_fails_makes_its_values_an_error(opened: Opened, script: str) -> None:
    sensor = opened(script)
    until(lambda: _read(sensor) == "error")


def test_a_program_that_is_not_there_is_an_error_and_no_reason_not_to_start(opened: Opened) -> None:
    sensor = opened("", command=("/no/such/program",))
    until(lambda: _read(sensor) == "error")


def test_what_takes_too_long_is_killed_with_all_that_it_started(opened: Opened, tmp_path: Path) -> None:
    sensor = opened(f"sleep 61 & echo $! > {tmp_path}/child; echo '{{\"temp\": 1}}'; wait", time_limit=0.5)
    until(lambda: _read(sensor) == "error")
    child = int((tmp_path / "child").read_text())
    until(lambda: not _runs(child))


def test_a_child_that_keeps_the_pipe_open_is_ended_too(opened: Opened, tmp_path: Path) -> None:
    sensor = opened(f"sleep 62 & echo $! > {tmp_path}/child; exit 0", time_limit=0.5)
    until(lambda: _read(sensor) == "error")
    until(lambda: not _runs(int((tmp_path / "child").read_text())))


def test_closing_ends_what_runs_and_a_read_never_waits_for_it(opened: Opened, tmp_path: Path) -> None:
    sensor = opened(f"echo $$ > {tmp_path}/own; exec sleep 63", time_limit=60)
    until(lambda: (tmp_path / "own").exists() and (tmp_path / "own").read_text())
    began = time.monotonic()
    assert _read(sensor) == "not_available"
    sensor.close()
    assert time.monotonic() - began < 30
    until(lambda: not _runs(int((tmp_path / "own").read_text())))


def test_it_runs_once_an_interval(opened: Opened, tmp_path: Path) -> None:
    opened(f"echo run >> {tmp_path}/runs; echo '{{}}'", interval=0.3)
    until(lambda: (tmp_path / "runs").exists())
    time.sleep(1.6)
    assert 3 <= len((tmp_path / "runs").read_text().splitlines()) <= 7


def test_a_key_that_is_no_field_is_named_once(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sensor = opened('echo \'{"temp": 4, "Fridge": 1}\'', interval=0.05)
    until(lambda: _read(sensor) == 4.0)
    time.sleep(0.4)
    assert caplog.text.count("sensor_key_ignored") == 1
    assert "'Fridge'" in caplog.text


def test_output_up_to_the_bound_is_read(opened: Opened) -> None:
    sensor = opened(f"head -c {MOST_OUTPUT - 200} /dev/zero | tr '\\0' ' '; echo; echo '{{\"temp\": 7}}'")
    until(lambda: _read(sensor) == 7.0)


@pytest.mark.parametrize(
    ("path", "options", "told"),
    [
        (None, {}, "command"),
        ("/usr/bin/x", {"command": ("x",)}, "no path"),
        (None, {"command": ("x",), "map": {"a": "custom.A"}}, "a-z"),
        (None, {"command": ("x",), "map": {"a": "temperature"}}, r"custom\.NAME"),
    ],
)
def test_settings_with_which_it_cannot_run_are_refused(path: str | None, options: dict[str, object], told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        open_sensor("exec", path, interval=60, options=options)


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_number_beyond_all_bounds_costs_its_own_field_alone(opened: Opened) -> None:
    line = '{"temp": 1e400, "vehicle_speed": 1e400, "custom.a": ' + "1" * 400 + ', "custom.b": 2}'
    sensor = opened(f"echo '{line}'")
    until(lambda: _read(sensor) == "implausible")
    reading = sensor.read(NOW)
    assert reading.values == {"custom.b": 2.0}
    assert reading.quality == dict.fromkeys((TEMPERATURE, "vehicle_speed", "custom.a"), "implausible")


def test_ever_new_names_do_not_fill_the_samples(opened: Opened) -> None:
    names = ", ".join(f'"custom.k{number}": 1' for number in range(MOST_TARGETS + 50))
    sensor = opened(f"echo '{{{names}}}'")
    until(lambda: _read(sensor, "custom.k0") == 1.0)
    reading = sensor.read(NOW)
    assert len(reading.values) + len(reading.quality) == MOST_TARGETS
