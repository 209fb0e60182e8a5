"""The nearest town of a point is the one that looking at every town finds."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.pages import STATIC
from console.place_names import distance_km, nearest_place

CITIES = json.loads((STATIC / "basemap" / "cities.json").read_text(encoding="utf-8"))


@settings(max_examples=40, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_it_is_the_nearest_of_all(latitude: float, longitude: float) -> None:
    nearest = min(distance_km(latitude, longitude, y, x) for _, x, y, _ in CITIES)
    found = nearest_place(latitude, longitude)
    assert (found.km if found else None) == (nearest if nearest <= 300 else None)


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [(52.4, 13.07, "Potsdam"), (-16.79, 179.99, "Labasa"), (-16.79, -179.99, "Labasa"), (0, -30, None)],
)
def test_some_that_anybody_knows(latitude: float, longitude: float, name: str | None) -> None:
    found = nearest_place(latitude, longitude)
    assert (found.name if found else None) == name
