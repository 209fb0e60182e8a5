"""A warehouse that grew by builds equals one built from the start, whatever came in which order."""

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse import example
from tests.warehouse.fleet import Fleet, Record, at, drive

EXAMPLES = 20 if "MILEPOST_PROVE" in os.environ else 1
START = "2024-06-01T00:00:00.000Z"


def everything(fleet: Fleet) -> dict[str, list[str]]:
    """Every row of every mart, in one order; when the build was made is left out."""
    with fleet.engine.held():
        rows = example.rows_of(fleet)
    for row in rows["quality_run"]:
        del row["run_at"]
    return {name: sorted(map(_text, found)) for name, found in rows.items()}


def _text(row: dict[str, Any]) -> str:
    """Sums of floats to nine digits: they are added up in whatever order the rows lie."""
    return str({name: f"{value:.9g}" if isinstance(value, float) else value for name, value in row.items()})


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.randoms(use_true_random=False), st.integers(2, 3))
def test_any_order_any_builds_the_same_marts(order: random.Random, builds: int) -> None:
    """Samples and clicks shuffled, some of them doubled, in batches with builds between."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = Fleet(Path(folder, "one")), Fleet(Path(folder, "other"))
        example.fill(one)
        one.build_marts(terms=example.TERMS)
        expected = everything(one)
        assert [name for name, rows in expected.items() if not rows] == []
        samples, clicks = ([*part, *order.sample(part, 10)] for part in (example.samples(), example.clicks()))
        order.shuffle(samples)
        order.shuffle(clicks)
        for part in range(builds):
            other.take(samples[part::builds])
            other.click(clicks[part::builds])
            if part == 1:
                example.refused_and_registered(other)
            other.build()
            other.build_marts(terms=example.TERMS)
        assert everything(other) == expected
        one.close()
        other.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.integers(2, 4 if EXAMPLES > 1 else 2))
def test_days_that_are_added_change_no_row_that_is_over(seed: int, builds: int) -> None:
    """Trips, stops and fuel levels go on over midnight and over the end of a build; a few samples come a build late."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        days = [START, *(at(START, chance.randrange(86_400 * 4)) for _ in range(builds - 1)), at(START, 86_400 * 4)]
        bounds = sorted(days)
        made = [each for truck in ("T1", "T2")[:EXAMPLES] for each in _wandering(truck, chance)]
        late = {id(each) for each in made if chance.random() < 0.005}
        for part, end in enumerate(bounds[1:]):
            fleet.take(
                each
                for each in made
                if (bounds[part] <= each["sampled_at"] < end and id(each) not in late)
                or (part and id(each) in late and bounds[part - 1] <= each["sampled_at"] < bounds[part])
            )
            fleet.build()
            fleet.build_marts()
        grown = everything(fleet)
        assert grown["truck_trip"]
        assert grown["truck_stop"]
        fleet.build_marts(whole=True)
        assert grown == everything(fleet)
        fleet.close()


def _wandering(truck: str, chance: random.Random) -> list[Record]:
    """A truck's samples over four days: drives, idling, standing, gaps, fuel that is filled up or taken."""
    made: list[Record] = []
    minute, odometer, fuel = chance.randrange(600), 1000.0, 60.0
    while minute < 4 * 1440:
        kind = chance.choice(["drive", "drive", "idle", "off", "off", "gap"])
        count, apart = chance.choice([1, 2, 3, 6, 12, 40]), chance.choice([1, 1, 2, 5])
        if kind == "gap":
            minute += chance.choice([5, 11, 40, 300, 1500])
            continue
        if kind == "off" and chance.random() < 0.4:
            fuel = min(99.0, max(5.0, fuel + chance.choice([-25, -9, 20, 40])))
        for sample in drive(truck, at(START, minute * 60), [60.0 if kind == "drive" else 0.0] * count):
            sample.update(seq=len(made) + 1, sampled_at=at(START, minute * 60), odometer_reading=round(odometer, 3))
            rpm = {"drive": 1400, "idle": 650, "off": 0}[kind]
            sample["engine_diagnostics"] = {"engine_rpm": rpm, "fuel_level": round(fuel, 2)}
            made.append(sample)
            minute += apart
            odometer, fuel = odometer + (apart if kind == "drive" else 0), max(2.0, fuel - 0.05 * (kind != "off"))
    return [each for each in made if each["sampled_at"] < at(START, 4 * 86_400)]
