"""A warehouse that grew by builds equals one built from the start, whatever came in which order."""

import os
import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse import example
from tests.warehouse.fleet import Fleet


def everything(fleet: Fleet) -> dict[str, list[str]]:
    """Every row of every mart, in one order; when the build was made is left out."""
    rows = example.rows_of(fleet)
    for row in rows["quality_run"]:
        del row["run_at"]
    return {name: sorted(map(str, found)) for name, found in rows.items()}


@settings(
    max_examples=20 if "MILEPOST_PROVE" in os.environ else 1,
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
