"""A plan or a truck's route in the forms that maps and navigation devices read."""

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

Plan = dict[str, Any]


def as_geojson(plan: Plan) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946) of a plan: a line per truck and a point per stop."""
    depot = [plan["depot"]["longitude"], plan["depot"]["latitude"]]
    features: list[dict[str, Any]] = []
    for truck in plan["trucks"]:
        stops = [stop for stop in truck["stops"] if stop["latitude"] is not None]  # a forgotten customer's has none
        places = [[stop["longitude"], stop["latitude"]] for stop in stops]
        about = {name: truck[name] for name in ("truck_id", "km", "hours")}
        features.append(_feature("LineString", [depot, *places, depot], about))
        features += [
            _feature("Point", place, {"truck_id": truck["truck_id"], **stop})
            for place, stop in zip(places, stops, strict=True)
        ]
    return {"type": "FeatureCollection", "features": features}


def as_gpx(route: Plan) -> bytes:
    """A truck's route as GPX 1.1 (topografix.com/GPX/1/1): depot, stops in order, depot."""
    gpx = Element("gpx", version="1.1", creator="Milepost", xmlns="http://www.topografix.com/GPX/1/1")
    way = SubElement(gpx, "rte")
    SubElement(way, "name").text = f"{route['truck_id']} {route['day']}"
    depot = {**route["depot"], "order_id": "depot"}
    for stop in (depot, *route["stops"], depot):
        if stop["latitude"] is None:
            continue
        point = SubElement(way, "rtept", lat=f"{stop['latitude']:.6f}", lon=f"{stop['longitude']:.6f}")
        SubElement(point, "name").text = stop["order_id"]
        if stop is not depot:
            SubElement(point, "desc").text = f"stop {stop['stop_no']}, planned {stop['arrive_at']}"
    return bytes(tostring(gpx, encoding="utf-8", xml_declaration=True))


def navigation_link(route: Plan) -> str | None:
    """A link that opens the way to the next stop in whatever the driver's phone navigates with (RFC 5870)."""
    open_stops = (stop for stop in route["stops"] if stop["done_at"] is None and stop["latitude"] is not None)
    left = next(open_stops, None)
    return None if left is None else f"geo:{left['latitude']:.6f},{left['longitude']:.6f}"


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
