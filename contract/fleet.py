"""What the rooms share about a fleet: the settings table `[fleet]`, and the zones of `zones.geojson`."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field

from contract.errors import Misconfigured
from contract.settings import RoomSettings
from contract.thresholds import limit

Ring = tuple[tuple[float, float], ...]
"""Corners as (longitude, latitude) in degrees; the first one is repeated at the end."""


class FleetSettings(RoomSettings):
    """The table `[fleet]`.

    fuel_price: of a litre, in `[warehouse] currency`. speed_limit_kmh: where neither a zone nor the vehicle register
    says another, and the limit of the alert `overspeed`. zones: a GeoJSON file, else `zones.geojson` in the data
    directory.
    """

    fuel_price: float | None = Field(default=None, gt=0)
    speed_limit_kmh: float = Field(default_factory=lambda: limit("speed"), gt=0)
    zones: Path | None = None


@dataclass(frozen=True, slots=True)
class Zone:
    """A named area. rings: of all its polygons, outer ones and holes; a point is inside by the even-odd rule."""

    id: str
    name: str
    speed_limit_kmh: float | None
    rings: tuple[Ring, ...]

    def edges(self) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
        """Its edges, of every ring.

        Returns:
            Pairs of corners (longitude, latitude), in degrees, in the order of the file.
        """
        for ring in self.rings:
            yield from pairwise(ring)

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether a point lies inside.

        Args:
            latitude: degrees, WGS 84.
            longitude: degrees, WGS 84.

        Returns:
            A point on an edge may be on either side.
        """
        crossed = 0
        for (from_x, from_y), (to_x, to_y) in self.edges():
            if (from_y <= latitude < to_y) or (to_y <= latitude < from_y):
                crossed += longitude < (to_x - from_x) * (latitude - from_y) / (to_y - from_y) + from_x
        return crossed % 2 == 1


def zones_file(settings: FleetSettings, data_dir: Path) -> Path:
    """Where the zones of an installation stand.

    Args:
        settings: the table `[fleet]`, whose `zones` comes first.
        data_dir: where `zones.geojson` is looked for otherwise.

    Returns:
        The path, whether the file is there or not.
    """
    return settings.zones or data_dir / "zones.geojson"


def read_zones(path: Path) -> tuple[Zone, ...]:
    """The zones of a GeoJSON FeatureCollection of Polygons and MultiPolygons (RFC 7946), by id; none without a file.

    A feature's id is its `id`, else its property `id` or `name`; its properties `name` and `speed_limit_kmh` are used.

    Args:
        path: of the file; none there means no zones.

    Returns:
        The zones in the order of the file.

    Raises:
        Misconfigured: names the file, the feature and what is wrong with it.
    """
    if not path.exists():
        return ()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} cannot be read as GeoJSON: {error}") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise Misconfigured(f"{path} is no GeoJSON FeatureCollection: it has no list `features`")
    zones: dict[str, Zone] = {}
    for number, feature in enumerate(features, 1):
        try:
            zone = zone_of(feature)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Misconfigured(f"{path}: feature {number} is no zone: {error}") from None
        if zone.id in zones:
            raise Misconfigured(f"{path}: feature {number} has the id {zone.id!r} of an earlier one: give it another")
        zones[zone.id] = zone
    return tuple(zones[id] for id in sorted(zones))


def zone_of(feature: dict[str, Any]) -> Zone:
    """The zone that a GeoJSON feature describes.

    Args:
        feature: of a FeatureCollection.

    Returns:
        Its id as `read_zones` says, and its rings.

    Raises:
        ValueError: says what is wrong with it.
        TypeError, KeyError, AttributeError: it is no feature at all.
    """
    properties, geometry = feature.get("properties") or {}, feature["geometry"]
    id = feature.get("id", properties.get("id", properties.get("name")))
    if not isinstance(id, str | int) or isinstance(id, bool) or not str(id):
        raise ValueError("it needs an `id` or a property `name`")
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"a {geometry['type']} has no area: draw a Polygon or a MultiPolygon")
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    limit = properties.get("speed_limit_kmh")
    if limit is not None and (isinstance(limit, bool) or not float(limit) > 0):
        raise ValueError(f"speed_limit_kmh must be over 0, not {limit!r}")
    rings = tuple(_ring(ring) for polygon in polygons for ring in polygon)
    if not rings:
        raise ValueError("it has no corners")
    return Zone(str(id), str(properties.get("name") or id), None if limit is None else float(limit), rings)


def _ring(corners: list[list[float]]) -> Ring:
    points = tuple((float(corner[0]), float(corner[1])) for corner in corners)
    for longitude, latitude in points:
        if not (math.isfinite(longitude) and abs(longitude) <= 180 and abs(latitude) <= 90):
            raise ValueError(f"{longitude}, {latitude} is no longitude, latitude")
    if len(set(points)) < 3:
        raise ValueError("a ring needs three corners or more")
    return points if points[0] == points[-1] else (*points, points[0])
