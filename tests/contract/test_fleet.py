"""The zones of a fleet."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import Misconfigured
from contract.fleet import read_zones

SQUARE = [[13.0, 52.0], [13.1, 52.0], [13.1, 52.1], [13.0, 52.1], [13.0, 52.0]]
HOLE = [[13.04, 52.04], [13.06, 52.04], [13.06, 52.06], [13.04, 52.06], [13.04, 52.04]]


def _written(folder: Path, *features: Any) -> Path:
    path = folder / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def _zone(rings: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": rings}}


def test_a_zone_has_holes(tmp_path: Path) -> None:
    (zone,) = read_zones(_written(tmp_path, _zone([SQUARE, HOLE], name="Depot", speed_limit_kmh=20)))
    assert (zone.id, zone.speed_limit_kmh) == ("Depot", 20)
    assert [zone.contains(52.02, 13.02), zone.contains(52.05, 13.05), zone.contains(52.2, 13.05)] == [
        True,
        False,
        False,
    ]


def test_no_file_is_no_zone(tmp_path: Path) -> None:
    assert read_zones(tmp_path / "zones.geojson") == ()


@pytest.mark.parametrize(
    ("feature", "problem"),
    [
        (_zone([SQUARE]), "name"),
        (_zone([SQUARE[:2]], name="a"), "three corners"),
        (_zone([[[200, 1], [1, 1], [2, 2]]], name="a"), "no longitude, latitude"),
        (_zone([SQUARE], name="a", speed_limit_kmh=-1), "speed_limit_kmh"),
        ({"type": "Feature", "id": "a", "geometry": {"type": "Point", "coordinates": [1, 2]}}, "no area"),
        ({"type": "Feature", "id": "a", "geometry": None}, "feature 1"),
    ],
)
def test_a_wrong_zone_is_named(tmp_path: Path, feature: Any, problem: str) -> None:
    with pytest.raises(Misconfigured, match=problem):
        read_zones(_written(tmp_path, feature))


def test_two_zones_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="feature 2 has the id 'a'"):
        read_zones(_written(tmp_path, _zone([SQUARE], id="a"), _zone([HOLE], id="a")))
