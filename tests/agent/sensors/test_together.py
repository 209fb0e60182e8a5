"""A truck's sensors side by side, as its settings name them, make one sample."""

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from agent.sampling.sampler import Sampler
from agent.sensors import open_sensor
from agent.timing.clock import SystemClock
from tests.agent.sensors.gpsd.daemon import Server
from tests.waiting import until

pytest.importorskip("can", reason="python-can is not installed: pip install 'milepost[agent-can]'")

TRUCK = "j1939/css_truck_idle_11111111.log"
FIX = {"class": "TPV", "device": "gps", "mode": 3, "lat": 52.1, "lon": 5.2, "altMSL": 15.5, "speed": 10.0}


def test_bus_receiver_and_thermometer_make_one_sample(recording: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "humidity1_input").write_text("45600\n")
    (tmp_path / "temp1_input").write_text("21000\n")
    server = Server([json.dumps(FIX).encode()])
    tables = [
        ("j1939", f"capture:{recording(TRUCK)}?speed=20"),
        ("gpsd", f"127.0.0.1:{server.port}"),
        ("environment", str(tmp_path)),
    ]
    with ExitStack() as stack, closing(server):
        sensors = [stack.enter_context(closing(open_sensor(kind, path, interval=60))) for kind, path in tables]
        sampler = Sampler("t1", sensors, SystemClock())
        taken: list[dict[str, Any]] = []

        def complete() -> bool:
            document: dict[str, Any] = sampler.sample().document
            taken.append(document)
            return set(document["quality"]) == {
                "vehicle_health_and_maintenance.brake_status",
                "vehicle_health_and_maintenance.transmission_status",
                "vehicle_health_and_maintenance.tire_pressure",
            }

        until(complete)
    sample = taken[-1]
    assert sample["gps_location"] == {"latitude": 52.1, "longitude": 5.2, "altitude": 15.5, "speed": 36.0}
    assert sample["odometer_reading"] == 13832.875
    assert sample["environmental_conditions"]["humidity"] == 45.6
    assert sample["environmental_conditions"]["temperature"] < 20, "the bus stands first, so its thermometer is taken"
