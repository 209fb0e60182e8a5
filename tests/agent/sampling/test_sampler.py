"""Ticks, and what a sample says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sampling.sampler import Sampler, Ticks
from agent.sensors import Reading
from agent.sensors.since_last import Interval
from contract.errors import Rejected
from contract.records import read_sample
from tests.agent.fakes import CountingSensor, FastClock

MOMENTS = st.integers(0, 2**32 * 1000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))


class Fixed:
    """A sensor that always says the same."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def read(self, now: datetime) -> Reading:
        """The one reading."""
        return self._reading

    def close(self) -> None:
        """Nothing to release."""


@given(MOMENTS, st.sampled_from([0.5, 1, 60, 900, 3600]), st.text("AB12", min_size=1))
def test_a_tick_is_after_the_moment_and_within_one_interval(moment: datetime, interval: float, truck: str) -> None:
    ticks = Ticks(truck, interval)
    tick = ticks.after(moment)
    assert moment < tick <= moment + timedelta(seconds=interval * 1.001)
    assert abs((ticks.after(tick) - tick).total_seconds() - interval) < 0.001


def test_ticks_are_the_same_after_a_restart_and_differ_between_trucks() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert Ticks("T1", 60).after(moment) == Ticks("T1", 60).after(moment)
    offsets = {Ticks(f"T{n}", 60).after(moment).second for n in range(200)}
    assert len(offsets) > 40


def test_a_sample_is_what_the_collector_takes() -> None:
    clock = FastClock()
    document = Sampler("T1", [CountingSensor()], clock).sample().document
    head = {"schema_version": 1, "truck_id": "T1", "stream_id": "s", "seq": 1, "sampled_at": "2026-01-31T12:00:00.000Z"}
    sample = read_sample(
        {**head, "time_quality": "ntp", **document},
        received_ms=int(clock.now().timestamp() * 1000),
        date_by_arrival=False,
    )
    assert sample.unknown == ()
    assert document["engine_diagnostics"]["engine_rpm"] == 1
    assert document["quality"]["gps_location"] == "not_available"


def test_a_sensor_that_knows_the_time_says_so_and_the_moment_is_of_the_tick() -> None:
    fix = datetime(2026, 2, 1, 8, 30, 0, 123000, tzinfo=UTC)
    taken = Sampler("T1", [CountingSensor(), CountingSensor(fix)], FastClock()).sample()
    assert taken.fix == fix
    assert (taken.moment.boot, taken.moment.wall.year) == ("boot", 2026)


def test_a_sensor_that_raises_costs_only_its_own_values() -> None:
    broken, other = CountingSensor(), Fixed(Reading({"vehicle_speed": 80}, {}))
    broken.failing = True
    sampler = Sampler("T1", [broken, other], FastClock())
    document = sampler.sample().document
    assert document["vehicle_speed"] == 80
    assert document["engine_diagnostics"]["engine_rpm"] is None
    broken.failing = False
    assert sampler.sample().document["engine_diagnostics"]["engine_rpm"] == 1


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("engine_diagnostics.fuel_level", 130),
        ("vehicle_speed", float("nan")),
        ("odometer_reading", "12"),
        ("vehicle_health_and_maintenance.active_faults", [{"spn": -1, "fmi": 2}]),
    ],
)
def test_a_value_that_the_collector_would_refuse_becomes_null_with_its_reason(leaf: str, value: object) -> None:
    document = (
        Sampler("T1", [Fixed(Reading({leaf: value, "fuel_consumption": 2.5}, {}))], FastClock()).sample().document
    )
    assert document["quality"][leaf] == "implausible"
    assert document["fuel_consumption"] == 2.5
    whole = {"truck_id": "T1", "stream_id": "s", "seq": 1, "sampled_at": "2026-01-31T12:00:00.000Z", **document}
    try:
        read_sample(whole, received_ms=2**42, date_by_arrival=False)
    except Rejected as error:
        pytest.fail(f"rejected: {error}")


class Answering:
    """A plug-in whose `read` answers with whatever a function makes."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self._answer = answer

    def read(self, now: datetime) -> Any:
        """What the function makes."""
        return self._answer()

    def close(self) -> None:
        """Nothing to release."""


SPREAD = Interval(60.0, 2, {}, {}, None, (), {(100, 3, 0): (5.0, 1.0)})
STATUS = "vehicle_health_and_maintenance.brake_status"


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Reading({}, {}, datetime(2026, 2, 1)),  # noqa: DTZ001 - the mistake
        lambda: Reading({}, {}, "2026-02-01T00:00:00Z"),  # type: ignore[arg-type]
        lambda: Reading({}, {}, interval="since"),  # type: ignore[arg-type]
        lambda: Reading({}, {}, disagreements=["speed"]),  # type: ignore[list-item]
        lambda: {"values": {}},
        lambda: None,
    ],
)
def test_no_answer_of_a_plug_in_costs_more_than_its_own_values(answer: Callable[[], object]) -> None:
    sampler = Sampler("T1", [Answering(answer), Fixed(Reading({"vehicle_speed": 80}, {}))], FastClock())
    taken = sampler.sample()
    assert (taken.document["vehicle_speed"], taken.fix) == (80, None)


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, b"a", float("nan"), 10**400])
def test_a_custom_value_of_no_kind_costs_that_name_alone(value: object) -> None:
    document = Sampler("T1", [Fixed(Reading({"custom.a": value, "custom.b": 2.5}, {}))], FastClock()).sample().document
    assert document["custom"] == {"a": None, "b": 2.5}
    assert document["quality"]["custom.a"] == "implausible"


def test_a_text_is_as_long_as_a_text_may_be() -> None:
    values = {STATUS: "worn " * 10_000, "custom.note": "x" * 10_000}
    document = Sampler("T1", [Fixed(Reading(values, {}))], FastClock()).sample().document
    assert document["vehicle_health_and_maintenance"]["brake_status"] == ("worn " * 52)[:256]
    assert document["custom"]["note"] == "x" * 256


def test_a_fault_that_names_no_source_stands_beside_codes_seen_between_samples() -> None:
    faults = {"vehicle_health_and_maintenance.active_faults": [{"spn": 100, "fmi": 3}]}
    taken = Sampler("T1", [Fixed(Reading(faults, {}, interval=SPREAD))], FastClock()).sample()
    assert taken.document["vehicle_health_and_maintenance"]["active_faults"] == [{"spn": 100, "fmi": 3}]
    assert taken.interval
    assert taken.interval.codes == SPREAD.codes
