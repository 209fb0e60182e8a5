"""What is called plain the model accepts; and the samples that trucks send are plain."""

import copy
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from contract.errors import Rejected
from contract.plain_samples import is_plain
from contract.records import read_sample
from contract.telemetry import GROUPS, LEAVES, SinceLast, Telemetry
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle
from tests.contract.examples import RECEIVED_MS, put, sample

WIDE = sample(
    since_last={
        **dict.fromkeys(("seconds", "moving_seconds", "idle_seconds", "distance_km", "fuel_l"), 1.5),
        **{name: {"vehicle_speed": 41.2, "engine_diagnostics.engine_rpm": 900} for name in ("min", "max", "mean")},
        "readings": 12,
        "harsh": [{"kind": "braking", "at": "2024-06-01T11:58:59.000Z", "peak": 4.1}],
        "faults": [
            {"spn": 100, "fmi": 1, "source": 0, "first": "2024-06-01T11:58:59Z", "last": "2024-06-01T11:59:00Z"}
        ],
    },
    custom={"door_open": True, "cargo_temperature": -4.5, "note": "", "none": None},
)
PATHS = [
    *(*LEAVES, *GROUPS, *(f"{group}.unknown" for group in GROUPS), *Telemetry.model_fields, "unknown"),
    *(f"since_last.{name}" for name in (*SinceLast.model_fields, "unknown", "min.x", "min.\ud800")),
    *("custom.x", "custom.X", "custom.\ud800", f"custom.{'x' * 64}", f"custom.{'x' * 65}"),
]
EDGES = [
    *(0, -1, 1, 90, -90.5, 91, 180, 181, 5000, 5001, 10**8, 2**63, 1e300, float("nan"), float("inf"), True, None),
    *("", "text", "\ud800", "gps", "stale", [], {}, [{}]),
    *([{"spn": 1, "fmi": 2}], [{"spn": 1, "fmi": 2, "count": None, "source": "x"}], [{"spn": 1, "fmi": None}]),
    *([{"spn": True, "fmi": 2}], [{"spn": 1, "fmi": 2, "count": -1}], [{"spn": 1, "fmi": 2, "source": []}], [[]]),
    *({"front_left": "1"}, {"front_left": []}, {"\ud800": "stale"}),
    *({"vehicle_speed": "stale"}, {"vehicle_speed": "x"}, {"vehicle_speed": []}),
    *([{"kind": "braking", "at": "", "peak": 1000}], [{"kind": "braking", "at": "", "peak": 1000.1}]),
    *([{"kind": "x", "at": "", "peak": 1}], [{"kind": "braking", "at": "", "peak": None}], [{"kind": "braking"}]),
    *([{"spn": 1, "fmi": 2, "first": "", "last": ""}], [{"spn": 1, "fmi": 2, "first": "", "last": "", "count": 1}]),
    *({f"c{number}": number for number in range(32)}, {f"c{number}": number for number in range(33)}, {1: 1}),
]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=2)
)


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(EDGES) | json), max_size=3))
@example([("truck_id", None)])
@example([("seq", 2**63)])
@example([("time_quality", [])])
def test_the_model_accepts_what_is_plain(changes: list[tuple[str, Any]]) -> None:
    record = copy.deepcopy(WIDE)
    for path, value in changes:
        record = changed(record, path, copy.deepcopy(value))
    if is_plain(record):
        Telemetry.__pydantic_validator__.validate_python(record)
        with suppress(Rejected):  # for its time
            assert not read_sample(record, received_ms=RECEIVED_MS, date_by_arrival=True).unknown


def changed(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    try:
        return put(record, path, value)
    except (TypeError, AttributeError, KeyError):  # an earlier change took the group away
        return record


def test_a_sample_of_every_known_key_is_plain() -> None:
    assert is_plain(WIDE)


def test_a_simulated_trucks_sample_is_plain() -> None:
    from datetime import UTC, datetime

    from agent.sensors.merge import merge

    values, quality = merge([SimulatedSensor(Vehicle("T1", 1)).read(datetime(2024, 6, 1, 9, tzinfo=UTC))])
    record = {**values, "quality": quality, "truck_id": "T1", "stream_id": "s1", "seq": 1, "schema_version": 1,
              "sampled_at": "2024-06-01T09:00:00.000Z", "time_quality": "gps"}  # fmt: skip
    assert is_plain(record)
    assert not is_plain({**record, "truck_id": None})
    assert not is_plain({**record, "vehicle_speed": -1})
