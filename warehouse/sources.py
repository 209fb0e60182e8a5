"""What the models read, schema `lake`: the lake's tables, with times in UTC without a zone and lists as rows.

Written once, in DuckDB's SQL: DuckDB reads the Parquet files for every engine on one machine, so that JSON is taken
apart in one place. `raw_NAME` is the lake's table NAME.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from contract.fleet import FleetSettings, Zone
from contract.thresholds import thresholds
from warehouse.lake import schema
from warehouse.lake.tables import COMMERCE
from warehouse.quality import measured, rules
from warehouse.settings import WarehouseSettings

_NUMBERS = [column.name for column in schema.MEASURED if column.type == "double"]
_TEXTS = [column.name for column in schema.MEASURED if column.type == "text" and not column.json]
_PLACES = ("gps_latitude", "gps_longitude")
# 0, 0 is a receiver without a fix, and half a position is none.
_PLACED = "(gps_latitude IS NOT NULL AND gps_longitude IS NOT NULL AND NOT (gps_latitude = 0 AND gps_longitude = 0))"


def _utc(column: str) -> str:
    return f"{column} AT TIME ZONE 'UTC' AS {column}"


def _asks(item: str, column: str) -> str:
    """1 where a status asks for service, by the words of contract/thresholds.toml; 0 where it does not or is null."""
    words = "|".join(map(re.escape, thresholds()[item].words))
    return f"CAST(coalesce(regexp_matches(lower({column}), '{words}'), false) AS BIGINT) AS {item}_due"


def _measured() -> str:
    places = [f"CASE WHEN {_PLACED} THEN {name} END AS {name}" for name in _PLACES]
    return ", ".join([*places, *(name for name in [*_NUMBERS, *_TEXTS] if name not in _PLACES)])


_TELEMETRY = f"""
    SELECT truck_id, order_key, stream_id, seq, {_utc("sampled_at")}, epoch_ms(sampled_at) AS sampled_ms,
        {_utc("received_at")}, epoch_ms(received_at) AS received_ms, time_quality, {_measured()},
        interval_s, moving_s, idle_s, distance_km, fuel_l, speed_max, day
    FROM raw_telemetry"""
_TRUCK_VERSION = f"""
    SELECT truck_id, order_key, {_utc("effective_start_date")}, {_utc("effective_end_date")}, is_current,
        {_utc("load_timestamp")}, {_measured()}, active_faults, day,
        {_asks("brakes", "brake_status")}, {_asks("transmission", "transmission_status")}
    FROM raw_truck_version"""
_VERSION_FAULT = """
    SELECT DISTINCT truck_id, order_key, CAST(fault.spn AS BIGINT) AS spn, CAST(fault.fmi AS BIGINT) AS fmi,
        coalesce(fault.source, '') AS source
    FROM (
        SELECT truck_id, order_key,
            unnest(from_json(active_faults, '[{"spn": "BIGINT", "fmi": "BIGINT", "source": "VARCHAR"}]')) AS fault
        FROM raw_truck_version WHERE active_faults IS NOT NULL AND active_faults <> '[]')"""
_DEAD_LETTER = f"""
    SELECT id, {_utc("received_at")}, source, field, reason, times, day,
        regexp_extract(source, '^[^:]*') AS door,
        coalesce(field || ': ', '') || regexp_replace(reason, ',? not .*$', '') AS reason_class,
        CASE WHEN source ILIKE '%click%' THEN 0 ELSE 1 END AS is_telemetry,
        CASE
            WHEN json_valid(payload) AND json_type(payload) = 'OBJECT'
                THEN coalesce(json_extract_string(payload, '$.truck_id'), json_extract_string(payload, '$.TRUCK_ID'),
                    nullif(regexp_extract(source, '^mqtt:fleet/([^/]+)/', 1), ''))
            ELSE nullif(regexp_extract(source, '^mqtt:fleet/([^/]+)/', 1), '')
        END AS truck_id
    FROM raw_dead_letter"""
# Users of one browser, by the cookie that the server keeps, are one: the least user_id of all that browsers join.
_PERSON = """
    WITH RECURSIVE seen AS (
        SELECT DISTINCT browser_id, user_id FROM raw_click
        WHERE is_bot IS NOT true AND browser_id IS NOT NULL AND user_id IS NOT NULL
    ), edge AS (
        SELECT 'browser ' || browser_id AS node, 'user ' || user_id AS other FROM seen
        UNION ALL SELECT 'user ' || user_id, 'browser ' || browser_id FROM seen
    ), least (node, person) USING KEY (node) AS (
        SELECT 'user ' || user_id, user_id FROM seen
        UNION SELECT 'browser ' || browser_id, min(user_id) FROM seen GROUP BY browser_id
        UNION
        SELECT edge.other, min(least.person)
        FROM least JOIN edge ON edge.node = least.node JOIN recurring.least AS known ON known.node = edge.other
        WHERE least.person < known.person
        GROUP BY edge.other
    )
    SELECT node[6:] AS user_id, person FROM least WHERE starts_with(node, 'user ')"""
_CLICK = f"""
    SELECT raw_click.* EXCLUDE (occurred_at, received_at, click_count, document, lines, properties, refused_fields,
            referrer_url, country, user_id),
        coalesce(joined.person, raw_click.user_id) AS user_id,
        {_utc("occurred_at")}, epoch_ms(occurred_at) AS occurred_ms, {_utc("received_at")},
        coalesce(click_count, 1) AS click_count, coalesce(country, nullif(location, '')) AS country,
        nullif(lower(regexp_extract(referrer_url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/:?#]+)', 1)), '')
            AS referrer_host
    FROM raw_click LEFT JOIN ({_PERSON}) AS joined ON joined.user_id = raw_click.user_id WHERE is_bot IS NOT true"""
_LINE = '{"item_id": "VARCHAR", "item_name": "VARCHAR", "category": "VARCHAR", "price": "DOUBLE", "quantity": "DOUBLE"}'
_CLICK_LINE = f"""
    SELECT event_id, CAST(line_no AS BIGINT) AS line_no, line.item_id AS item_id, line.item_name AS item_name,
        line.category AS category, coalesce(line.price, 0) AS price, coalesce(line.quantity, 1) AS quantity
    FROM (
        SELECT event_id, unnest(from_json(lines, '[{_LINE}]')) AS line,
            generate_subscripts(from_json(lines, '[{_LINE}]'), 1) AS line_no
        FROM raw_click WHERE is_bot IS NOT true AND lines IS NOT NULL AND json_type(lines) = 'ARRAY')
    UNION ALL
    SELECT event_id, 1, item_id, item_name, category, coalesce(price, 0), coalesce(quantity, 1)
    FROM raw_click
    WHERE is_bot IS NOT true AND event_type IN ('purchase', 'add_to_cart', 'remove_from_cart')
        AND (lines IS NULL OR json_type(lines) <> 'ARRAY')"""
_HARSH_EVENT = f"""
    SELECT truck_id, day, order_key, {_utc("sampled_at")},
        TRY_CAST(harsh.at AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS at, harsh.kind AS kind, harsh.peak AS peak,
        CASE WHEN {_PLACED} THEN gps_latitude END AS latitude, CASE WHEN {_PLACED} THEN gps_longitude END AS longitude
    FROM (
        SELECT truck_id, day, order_key, sampled_at, gps_latitude, gps_longitude,
            unnest(from_json(json_extract(since_last, '$.harsh'),
                '[{{"kind": "VARCHAR", "at": "VARCHAR", "peak": "DOUBLE"}}]')) AS harsh
        FROM raw_telemetry WHERE since_last IS NOT NULL)
    WHERE TRY_CAST(harsh.at AS TIMESTAMPTZ) IS NOT NULL AND harsh.kind IS NOT NULL AND harsh.peak IS NOT NULL"""
_STREAM_GAP = "SELECT truck_id, stream_id, state, first_seq, last_seq FROM raw_stream_gap"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings decide of the marts: currency and rates, quality rules, the fleet's limits and zones."""

    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fleet: FleetSettings = field(default_factory=FleetSettings)
    zones: tuple[Zone, ...] = ()


def sources(terms: Terms) -> dict[str, str]:
    """Name in schema `lake` → its DuckDB query over `raw_TABLE`."""
    return {
        "telemetry": _TELEMETRY,
        "truck_version": _TRUCK_VERSION,
        "version_fault": _VERSION_FAULT,
        "harsh_event": _HARSH_EVENT,
        "dead_letter": _DEAD_LETTER,
        "click": _CLICK,
        "click_line": _CLICK_LINE,
        "stream_gap": _STREAM_GAP,
        **_REGISTERS,
        **_settled(terms),
        **measured(rules(terms.warehouse.quality)),
    }


BUILT = "lake_build"
"""The source that is another one with every build."""


def built(finished_at: str) -> dict[str, str]:
    """The source that says which lake build is read, by when it finished (`…sssZ`)."""
    return {BUILT: f"SELECT TIMESTAMP '{finished_at.removesuffix('Z')}' AS finished_at"}


def _settled(terms: Terms) -> dict[str, str]:
    """Settings and zones as relations."""
    money, fleet = terms.warehouse, terms.fleet
    others = sorted((name, rate) for name, rate in money.rates.items() if name != money.currency)
    rates = [(f"'{name}'", f"CAST({rate!r} AS DOUBLE)") for name, rate in [(money.currency, 1.0), *others]]
    price = "NULL" if fleet.fuel_price is None else repr(fleet.fuel_price)
    zones, edges = [], []
    for zone in terms.zones:
        name, limit = _text(zone.id), "NULL" if zone.speed_limit_kmh is None else repr(zone.speed_limit_kmh)
        corners = [corner for ring in zone.rings for corner in ring]
        (west, east), (south, north) = ((min(axis), max(axis)) for axis in zip(*corners, strict=True))
        zones.append((name, _text(zone.name), *map(_number, (limit, south, north, west, east))))
        for (from_x, from_y), (to_x, to_y) in zone.edges():
            edges.append((name, *map(_number, (from_y, from_x, to_y, to_x))))
    return {
        "currency_rate": _values(("currency", "rate"), rates),
        "main_currency": f"SELECT '{money.currency}' AS currency",
        "threshold": "SELECT " + ", ".join(_limits()),
        "fleet_setting": f"SELECT {_number(price)} AS fuel_price, {_number(fleet.speed_limit_kmh)} AS speed_limit_kmh",
        "zone": _values(("zone_id", "name", "speed_limit_kmh", "south", "north", "west", "east"), zones, texts=2),
        "zone_edge": _values(
            ("zone_id", "from_latitude", "from_longitude", "to_latitude", "to_longitude"), edges, texts=1
        ),
    }


def _limits() -> Iterator[str]:
    """The limits of contract/thresholds.toml as columns: NAME_limit, NAME_days, NAME_hours, NAME_samples."""
    for name, line in thresholds().items():
        if line.limit is not None:
            yield f"{_number(line.limit)} AS {name}_limit"
        if line.days:
            yield f"{line.days} AS {name}_days"
        if line.hours:
            yield f"{line.hours} AS {name}_hours"
        if line.samples > 1:
            yield f"{line.samples} AS {name}_samples"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _number(value: float | str) -> str:
    return f"CAST({value} AS DOUBLE)"


def _values(names: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A relation of literal rows; without any, one of texts and numbers that has no row."""
    if not rows:
        kinds = ["VARCHAR" if n < texts else "DOUBLE" for n in range(len(names))]
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in zip(names, kinds, strict=True))
        return f"SELECT {nulls} WHERE false"
    listed = ", ".join(f"({', '.join(row)})" for row in rows)
    return f"SELECT * FROM (VALUES {listed}) AS given ({', '.join(names)})"


def _version(table: str) -> str:
    """Versions of a register."""
    instants = {column.name for column in _TABLES[table].columns if column.type == "instant"}
    names = [column.name for column in _TABLES[table].columns if column.name != "document"]
    return f"SELECT {', '.join(_utc(name) if name in instants else name for name in names)} FROM raw_{table}"


_TABLES = {table.name: table for table in COMMERCE}
_ORDER_TIMES = ", ".join(_utc(f"{name}_at") for name in schema.ORDER_TIMES)
_ORDER = f"""
    SELECT order_id, customer_id, session_id, state, truck_id, currency, country, postcode, latitude, longitude,
        {_ORDER_TIMES},
        epoch_ms(placed_at) AS placed_ms, epoch_ms(delivered_at) AS delivered_ms,
        epoch_ms(promised_at) AS promised_ms, day
    FROM raw_order_state"""
_ORDER_LINE = f"""
    SELECT order_id, CAST(line_no AS BIGINT) AS line_no, line.item_id AS item_id, line.item_name AS item_name,
        line.category AS category, coalesce(line.price, 0) AS price, coalesce(line.quantity, 1) AS quantity
    FROM (
        SELECT order_id, unnest(from_json(lines, '[{_LINE}]')) AS line,
            generate_subscripts(from_json(lines, '[{_LINE}]'), 1) AS line_no
        FROM raw_order_state WHERE json_type(lines) = 'ARRAY')"""
_REGISTERS = {
    "customer_order": _ORDER,
    "customer_order_line": _ORDER_LINE,
    **{name: _version(name) for name in ("customer_version", "item_version", "vehicle_version")},
    "truck_service": """
        SELECT truck_id, item, valid_from AT TIME ZONE 'UTC' AS serviced_at, odometer
        FROM raw_service_version WHERE is_current AND item IS NOT NULL""",
    "planned_stop": """
        SELECT order_id, truck_id, stop_no, arrive_at AT TIME ZONE 'UTC' AS planned_at, day,
            row_number() OVER (PARTITION BY order_id ORDER BY day DESC) = 1 AS is_newest
        FROM raw_planned_stop""",
    "planned_route": """
        SELECT truck_id, day, km AS km_planned, given_order_km AS km_given_order, saved_litres AS litres_saved
        FROM raw_planned_route""",
}
