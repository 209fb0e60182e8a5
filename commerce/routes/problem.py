"""What is to be planned: depot, stops and trucks, read from JSON or CSV and judged."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commerce.csv_table import read_table
from commerce.fields import identifier, truck_id
from contract import timestamps
from contract.codec import Json, parse
from contract.errors import Misconfigured, Rejected

_MOST_STOPS = 2_000
_MINUTE_MS = 60_000
_FIRST_YEAR, _LAST_YEAR = "1970", "2100"


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Stop:
    """One delivery.

    demand: how much of a truck's capacity it takes. earliest_ms, latest_ms: Unix ms between which it may begin, None
    for no bound. service_ms: how long it takes.
    """

    order_id: str
    place: Coordinates
    demand: int = 1
    earliest_ms: int | None = None
    latest_ms: int | None = None
    service_ms: int = 5 * _MINUTE_MS


@dataclass(frozen=True, slots=True)
class RoutedTruck:
    """One truck and its driver.

    capacity: None for no bound. start_ms, end_ms: the driver's hours. litres_per_100km: measured, None if unknown.
    """

    truck_id: str
    capacity: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    litres_per_100km: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A day. Trucks start from the depot and come back to it."""

    depot: Coordinates
    stops: tuple[Stop, ...]
    trucks: tuple[RoutedTruck, ...]


def read_problem(path: Path, *, trucks: int | None = None) -> Problem:
    """Read a file.

    Args:
        path: JSON `{"depot", "stops", "trucks"}`, or CSV with one row per stop, the first of which, with the order_id
            `depot`, is where trucks start.
        trucks: how many trucks, where the file names none; or only so many of those that it names.

    Raises:
        Misconfigured: it cannot be read, or a field of it is wrong; the message names the field and its row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = _csv_document(text) if path.suffix.lower() == ".csv" else parse(text)
        return _problem(document, trucks)
    except Rejected as error:
        raise Misconfigured(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured(f"{path} cannot be read: {error}") from None


def _problem(document: Json, wanted: int | None) -> Problem:
    if not isinstance(document, dict) or not isinstance(document.get("stops"), list):
        raise Rejected("stops", "must be a list: give {depot, stops, trucks}")
    stops = [_stop(row, f"stops.{index}") for index, row in enumerate(document["stops"])]
    if not 1 <= len(stops) <= _MOST_STOPS:
        raise Rejected("stops", f"must be 1 to {_MOST_STOPS} stops, not {len(stops)}")
    _refuse_twice([stop.order_id for stop in stops], "stops.{}.order_id")
    named = document.get("trucks") or []
    if not isinstance(named, list):
        raise Rejected("trucks", "must be a list of {truck_id, capacity, start, end}")
    fleet = [_truck(row, f"trucks.{index}") for index, row in enumerate(named)]
    _refuse_twice([truck.truck_id for truck in fleet], "trucks.{}.truck_id")
    if not fleet:
        fleet = [RoutedTruck(f"TRUCK-{number:03}") for number in range(1, (wanted or 1) + 1)]
    return Problem(_place(document.get("depot"), "depot"), tuple(stops), tuple(fleet[:wanted]))


def _refuse_twice(names: list[str], where: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise Rejected(where.format(index), f"{name!r:.60} is there twice")
        seen.add(name)


def _csv_document(text: str) -> dict[str, Json]:
    rows: list[dict[str, Json]] = []
    for row in read_table(io.StringIO(text, newline=""), "order_id")[1]:
        try:
            cells = row.cells()
        except Rejected as error:
            raise Rejected("", f"line {row.line} {error.reason}") from None
        rows.append({name: cell if name == "order_id" else _number(cell) for name, cell in cells.items()})
    depot = next((row for row in rows if row.get("order_id") == "depot"), None)
    if depot is None:
        raise Rejected("order_id", "one row must have the order_id `depot`: where the trucks start")
    return {"depot": depot, "stops": [row for row in rows if row is not depot]}


def _number(text: str) -> Json:
    try:
        value = parse(text)
    except Rejected:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _place(row: Json, where: str) -> Coordinates:
    said = row if isinstance(row, dict) else {}
    values = []
    for name, most in (("latitude", 90), ("longitude", 180)):
        number = said.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not -most <= number <= most:
            raise Rejected(f"{where}.{name}", f"must be a number from -{most} to {most}, not {number!r:.40}")
        values.append(float(number))
    return Coordinates(*values)


def _stop(row: Json, where: str) -> Stop:
    if not isinstance(row, dict):
        raise Rejected(where, "must be an object with order_id, latitude and longitude")
    read = _reader(row, where)
    stop = Stop(
        order_id=identifier(row.get("order_id"), f"{where}.order_id"),
        place=_place(row, where),
        demand=read("demand", 1),
        earliest_ms=_time(row, "earliest", where),
        latest_ms=_time(row, "latest", where),
        service_ms=read("service_min", 5) * _MINUTE_MS,
    )
    if stop.earliest_ms is not None and stop.latest_ms is not None and stop.latest_ms < stop.earliest_ms:
        raise Rejected(f"{where}.latest", "must not be before earliest")
    return stop


def _truck(row: Json, where: str) -> RoutedTruck:
    if not isinstance(row, dict):
        raise Rejected(where, "must be an object with truck_id")
    litres = row.get("litres_per_100km")
    if litres is not None and (
        isinstance(litres, bool) or not isinstance(litres, int | float) or not 0 < litres <= 1000
    ):
        raise Rejected(f"{where}.litres_per_100km", f"must be a number over 0, up to 1000, not {litres!r:.40}")
    truck = RoutedTruck(
        truck_id=truck_id(row.get("truck_id"), f"{where}.truck_id"),
        capacity=None if row.get("capacity") is None else _reader(row, where)("capacity", 0),
        start_ms=_time(row, "start", where),
        end_ms=_time(row, "end", where),
        litres_per_100km=litres,
    )
    if truck.start_ms is not None and truck.end_ms is not None and truck.end_ms < truck.start_ms:
        raise Rejected(f"{where}.end", "must not be before start")
    return truck


def _reader(row: dict[str, Any], where: str) -> Callable[[str, int], int]:
    def read(name: str, default: int) -> int:
        value = row.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**6:
            raise Rejected(f"{where}.{name}", f"must be a whole number from 0 to 1000000, not {value!r:.40}")
        return value

    return read


def _time(row: dict[str, Any], name: str, where: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    instant = timestamps.parse(value, f"{where}.{name}")
    if not _FIRST_YEAR <= instant < _LAST_YEAR:
        raise Rejected(
            f"{where}.{name}", f"must be in the years {_FIRST_YEAR} to {int(_LAST_YEAR) - 1}, not {value!r:.40}"
        )
    return timestamps.to_ms(instant)
