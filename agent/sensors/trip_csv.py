"""Trip tables: CSV files with a row a second of a real drive, read as wire leaves.

Two column sets are known, each a table below: DrivePlotR's naturalistic drives, and the second-by-second decoding of a
CSS Electronics car (GNSS and OBD-II). Another set is one more `Layout`. A trip odometer is no odometer: left out.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from agent.sensors.fields import KM_PER_MILE, Reason, settle
from agent.sensors.plausibility import LATITUDE, LONGITUDE, PositionRule
from agent.sensors.since_last import Interval, Since, counts

LEAST_LIMIT = 5.0

Row = Mapping[str, str]


class CsvColumn(NamedTuple):
    """One column → one leaf. `when`: (other column, values it must have): else the column says nothing.

    fix: (column, values) of the receiver's fix; another fix means that the leaf has no value now.
    period: nominal seconds between two values.
    """

    name: str
    leaf: str
    factor: float = 1.0
    period: float = 1.0
    when: tuple[str, frozenset[str]] | None = None
    fix: tuple[str, frozenset[str]] | None = None

    @property
    def limit(self) -> float:
        """Seconds without a value after which the last one is stale."""
        return max(LEAST_LIMIT, 5 * self.period)


class Layout(NamedTuple):
    """A known set of columns; `time` is the one of Unix seconds."""

    name: str
    time: str
    columns: tuple[CsvColumn, ...]

    def fits(self, header: Iterable[str]) -> bool:
        """Whether a table with this header has every column that is read."""
        wanted = {self.time, *(column.name for column in self.columns)}
        wanted |= {gate[0] for column in self.columns for gate in (column.when, column.fix) if gate}
        return wanted <= set(header)


_2D, _3D = frozenset({"2", "3"}), frozenset({"3"})
_BY_GPS = ("speed_source", frozenset({"gps"}))
_BY_OBD = ("speed_source", frozenset({"obd"}))

DRIVEPLOTR = Layout(
    "driveplotr",
    "time_utc",
    (
        CsvColumn("gps_lat", "gps_location.latitude", fix=("gps_fix", _2D)),
        CsvColumn("gps_long", "gps_location.longitude", fix=("gps_fix", _2D)),
        CsvColumn("gps_elevation", "gps_location.altitude", fix=("gps_fix", _3D)),
        CsvColumn("speed_mph", "gps_location.speed", KM_PER_MILE, when=_BY_GPS, fix=("gps_fix", _2D)),
        CsvColumn("speed_mph", "vehicle_speed", KM_PER_MILE, when=_BY_OBD),
        CsvColumn("engine_rpm", "engine_diagnostics.engine_rpm"),
    ),
)

CSS_CAR = Layout(
    "css-car",
    "unix_s",
    (
        CsvColumn("lat", "gps_location.latitude", fix=("fix_type", _2D)),
        CsvColumn("lon", "gps_location.longitude", fix=("fix_type", _2D)),
        CsvColumn("alt_m", "gps_location.altitude", fix=("fix_type", _3D)),
        CsvColumn("gnss_speed_kmh", "gps_location.speed", fix=("fix_type", _2D)),
        CsvColumn("obd_speed_kmh", "vehicle_speed"),
        CsvColumn("obd_rpm", "engine_diagnostics.engine_rpm"),
        CsvColumn("obd_coolant_c", "engine_diagnostics.engine_temperature"),
        CsvColumn("obd_fuel_level_pct", "engine_diagnostics.fuel_level", period=10),
        CsvColumn("obd_module_v", "engine_diagnostics.battery_voltage", period=3),
        CsvColumn("obd_baro_kpa", "environmental_conditions.atmospheric_pressure", 10, period=3),
    ),
)

LAYOUTS = (DRIVEPLOTR, CSS_CAR)


def layout_of(header_line: str) -> Layout | None:
    """The known layout that a table's first line announces.

    Args:
        header_line: with the names of the columns.

    Returns:
        One of LAYOUTS, or None.
    """
    try:
        header = next(csv.reader([header_line]), [])
    except csv.Error:
        return None
    return next((layout for layout in LAYOUTS if layout.fits(header)), None)


def rows(lines: Iterable[str], layout: Layout) -> Iterator[tuple[float, Row]]:
    """The rows of a table that have a time; broken ones are passed over, another header ends it.

    Args:
        lines: of the table, the header first.
        layout: the header's.

    Returns:
        (Unix seconds, row), in the table's order.
    """
    reader = csv.DictReader(lines, restval="")
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            continue
        if row is None or layout.time not in row:
            return
        stamp = _number(row[layout.time])
        if stamp is not None and math.isfinite(stamp):
            yield stamp, row


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


class TripState:
    """What the columns said last. `feed` rows in order, `snapshot` at any time of the same time line."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._last: dict[str, tuple[float, float | Reason]] = {}
        self._position = PositionRule()
        self._since = Since()

    def feed(self, now: float, row: Row) -> None:
        """Files one row."""
        outcomes = {column: _outcome(column, row) for column in self._layout.columns}
        halves = [column for column in outcomes if column.leaf in (LATITUDE, LONGITUDE)]
        if len({outcomes[half] is None for half in halves}) > 1:  # a place is one row's, or none
            outcomes |= dict.fromkeys(halves, "not_available")
        for column, outcome in outcomes.items():
            if outcome is not None:
                self._last[column.leaf] = (now, outcome)
                if not isinstance(outcome, str) and counts(column.leaf):
                    self._since.value(now, column.leaf, outcome, limit=column.limit)

    def end_interval(self, now: float) -> Interval | None:
        """What was fed since the last call."""
        return self._since.end_interval(now)

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """(leaf → value, leaf → why not) for every leaf of the layout."""
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for column in self._layout.columns:
            heard, outcome = self._last.get(column.leaf, (now, "not_available"))
            if now - heard > column.limit:
                outcome = "stale"
            if isinstance(outcome, str):
                quality[column.leaf] = outcome
            else:
                values[column.leaf] = outcome
        self._position.apply(now, values, quality)
        return values, quality


def _outcome(column: CsvColumn, row: Row) -> float | Reason | None:
    """What one cell says: a value, why there is none, or None where it says nothing."""
    if column.when and row.get(column.when[0]) not in column.when[1]:
        return None
    if column.fix and row.get(column.fix[0], "") not in ("", *column.fix[1]):
        return "not_available"
    cell = row.get(column.name, "")
    if not cell:
        return None
    number = _number(cell)
    return "error" if number is None else settle(column.leaf, number * column.factor)
