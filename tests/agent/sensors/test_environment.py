"""Files as the IIO and hwmon drivers write them."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors import Reading
from agent.sensors.environment import HUMIDITY, PRESSURE, TEMPERATURE, EnvironmentSensor
from contract.errors import Misconfigured

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def device(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def read(path: Path | str) -> Reading:
    return EnvironmentSensor(str(path), interval=60).read(NOW)


def test_a_bme280_gives_all_three(tmp_path: Path) -> None:
    """As Documentation/ABI/testing/sysfs-bus-iio says: m°C, thousandths of %, kPa."""
    path = device(
        tmp_path / "iio:device0",
        in_temp_input="21530\n",
        in_humidityrelative_input="45678.125\n",
        in_pressure_input="101.325000\n",
        name="bme280\n",
    )
    assert read(path) == Reading({TEMPERATURE: 21.53, HUMIDITY: 45.68, PRESSURE: 1013.25}, {})


def test_an_hwmon_device_gives_what_it_has(tmp_path: Path) -> None:
    path = device(tmp_path / "hwmon3", temp1_input="-5250\n", humidity1_input="88100\n", temp1_max="85000\n")
    assert read(path) == Reading({TEMPERATURE: -5.25, HUMIDITY: 88.1}, {PRESSURE: "not_available"})


def test_raw_files_are_put_together(tmp_path: Path) -> None:
    path = device(tmp_path / "d", in_temp_raw="600\n", in_temp_offset="-200\n", in_temp_scale="62.5\n")
    assert read(path).values == {TEMPERATURE: 25.0}


def test_the_first_of_many_probes_is_taken(tmp_path: Path) -> None:
    path = device(tmp_path / "d", temp1_input="1000", temp2_input="2000", temp10_input="3000")
    assert read(path).values == {TEMPERATURE: 1.0}


def test_one_file_gives_its_leaf_only(tmp_path: Path) -> None:
    path = device(tmp_path / "d", temp2_input="2000", humidity1_input="50000")
    assert read(path / "temp2_input") == Reading({TEMPERATURE: 2.0}, {})


def test_a_pattern_finds_the_device_wherever_it_is_numbered(tmp_path: Path) -> None:
    device(tmp_path / "iio:device7", in_pressure_input="99.1")
    assert read(tmp_path / "iio:device*").values == {PRESSURE: 991.0}


def test_a_device_that_is_away_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    sensor = EnvironmentSensor(str(tmp_path / "d"), interval=60)
    assert sensor.read(NOW) == Reading({}, dict.fromkeys((TEMPERATURE, HUMIDITY, PRESSURE), "error"))
    device(tmp_path / "d", temp1_input="1000")
    assert sensor.read(NOW).values == {TEMPERATURE: 1.0}


def test_a_file_that_is_away_is_an_error_of_its_leaf_only(tmp_path: Path) -> None:
    assert read(tmp_path / "temp1_input") == Reading({}, {TEMPERATURE: "error"})


def test_a_broken_probe_is_an_error(tmp_path: Path) -> None:
    assert read(device(tmp_path / "d", temp1_input="1000", temp1_fault="1\n")).quality[TEMPERATURE] == "error"


@pytest.mark.parametrize("content", ["", "warm\n", "12 34\n"])
def test_what_is_no_number_is_an_error(tmp_path: Path, content: str) -> None:
    assert read(device(tmp_path / "d", temp1_input=content)).quality[TEMPERATURE] == "error"


@pytest.mark.parametrize("content", ["999999", "-200000", "nan", "inf"])
def test_what_cannot_be_is_implausible(tmp_path: Path, content: str) -> None:
    assert read(device(tmp_path / "d", temp1_input=content)).quality[TEMPERATURE] == "implausible"


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    device(tmp_path / "d")
    os.mkfifo(tmp_path / "d/temp1_input")
    assert read(tmp_path / "d").quality[TEMPERATURE] == "error"


def test_a_file_that_says_nothing_of_what_it_measures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value").write_text("20")
    with pytest.raises(Misconfigured, match="in_temp_input"):
        EnvironmentSensor(str(tmp_path / "value"), interval=60)


@given(st.binary(max_size=80))
def test_whatever_a_file_holds_there_is_a_value_or_a_reason(tmp_path_factory, content: bytes) -> None:
    path = device(tmp_path_factory.mktemp("d"))
    (path / "temp1_input").write_bytes(content)
    reading = read(path)
    assert (TEMPERATURE in reading.values) != (TEMPERATURE in reading.quality)
