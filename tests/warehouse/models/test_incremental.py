"""A warehouse that grew by builds equals one built from the start, whatever came in which order."""

import os
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.warehouse.fleet import Fleet, drive
from warehouse.rendering import models

SPEEDS = [0, 50, 60, 0, 0, 0, 70, 30, 0, 0, 40, 50, 60, 0, 0, 0, 0, 0, 0, 20, 20, 0]


def everything(fleet: Fleet) -> dict[str, list[str]]:
    """Every row of every mart, in one order."""
    names = [model.name.removeprefix("marts.") for model in models("duckdb") if model.name.startswith("marts.")]
    return {name: sorted(map(str, fleet.query(f"SELECT * FROM {name}"))) for name in names}


@settings(max_examples=20 if "MILEPOST_PROVE" in os.environ else 1)
@given(st.randoms(use_true_random=False), st.integers(2, 3))
def test_any_order_any_builds_the_same_marts(order: random.Random, builds: int) -> None:
    samples = [
        *drive("T1", "2024-06-01T23:50:00.000Z", SPEEDS),
        *drive("T1", "2024-06-03T23:55:00.000Z", SPEEDS, seq=100, odometer=1020, fuel=30, brakes="worn"),
        *drive("T2", "2024-06-02T08:00:00.000Z", SPEEDS, fuel=95),
    ]
    with tempfile.TemporaryDirectory() as folder:
        one, other = Fleet(Path(folder, "one")), Fleet(Path(folder, "other"))
        one.take(samples)
        one.build()
        one.build_marts()
        shuffled = [*samples, *order.sample(samples, 10)]
        order.shuffle(shuffled)
        for part in range(builds):
            other.take(shuffled[part::builds])
            other.build()
            other.build_marts()
        assert everything(other) == everything(one)
        other.build_marts(whole=True)
        assert everything(other) == everything(one)
        one.close()
        other.close()
