"""Records for the console's tests."""

from typing import Any

from contract import timestamps
from tests.contract.examples import RECEIVED_MS, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"
SCRIPT = "<img src=x onerror=document.title='owned'>"


def placed(minute: int, **changes: Any) -> dict[str, Any]:
    """A sample in Berlin, a minute after the other."""
    at = timestamps.from_ms(RECEIVED_MS - 3_600_000 + minute * 60_000)
    record = sample(seq=minute + 1, sampled_at=at, **changes)
    record = put(record, "gps_location.latitude", 52.5 + minute / 1000)
    return put(record, "gps_location.longitude", 13.4)
