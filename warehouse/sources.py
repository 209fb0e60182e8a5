"""What the models read, schema `lake`: the lake's tables, with times in UTC without a zone and lists as rows.

Written once, in DuckDB's SQL: DuckDB reads the Parquet files for every engine on one machine, so that JSON is taken
apart in one place. `raw_NAME` is the lake's table NAME.
"""

from collections.abc import Mapping

from warehouse.lake import schema
from warehouse.lake.tables import COMMERCE

_NUMBERS = [column.name for column in schema.MEASURED if column.type == "double"]
_TEXTS = [column.name for column in schema.MEASURED if column.type == "text" and not column.json]
_PLACES = ("gps_latitude", "gps_longitude")


def _utc(column: str) -> str:
    return f"{column} AT TIME ZONE 'UTC' AS {column}"


def _measured() -> str:
    """0, 0 is a receiver without a fix, and half a position is none."""
    placed = "gps_latitude IS NOT NULL AND gps_longitude IS NOT NULL AND NOT (gps_latitude = 0 AND gps_longitude = 0)"
    places = [f"CASE WHEN {placed} THEN {name} END AS {name}" for name in _PLACES]
    return ", ".join([*places, *(name for name in [*_NUMBERS, *_TEXTS] if name not in _PLACES)])


_TELEMETRY = f"""
    SELECT truck_id, order_key, stream_id, seq, {_utc("sampled_at")}, epoch_ms(sampled_at) AS sampled_ms,
        {_utc("received_at")}, epoch_ms(received_at) AS received_ms, time_quality, {_measured()},
        interval_s, moving_s, idle_s, distance_km, fuel_l, speed_max, day
    FROM raw_telemetry"""
_TRUCK_VERSION = f"""
    SELECT truck_id, order_key, {_utc("effective_start_date")}, {_utc("effective_end_date")}, is_current,
        {_utc("load_timestamp")}, {_measured()}, active_faults, day
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
_CLICK = f"""
    SELECT * EXCLUDE (occurred_at, received_at, click_count, document, lines, properties, refused_fields, referrer_url,
            country),
        {_utc("occurred_at")}, epoch_ms(occurred_at) AS occurred_ms, {_utc("received_at")},
        coalesce(click_count, 1) AS click_count, coalesce(country, nullif(location, '')) AS country,
        nullif(lower(regexp_extract(referrer_url, '^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#@]*@)?([^/:?#]+)', 1)), '')
            AS referrer_host
    FROM raw_click WHERE is_bot IS NOT true"""
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
_STREAM_GAP = "SELECT truck_id, stream_id, state, first_seq, last_seq FROM raw_stream_gap"


def sources(rates: Mapping[str, float], currency: str) -> dict[str, str]:
    """Name in schema `lake` → its DuckDB query.

    Args:
        rates: other currency → its worth in `currency`.
        currency: what revenue is given in; an amount without a currency counts as such.
    """
    known = [(currency, 1.0), *((name, rate) for name, rate in sorted(rates.items()) if name != currency)]
    values = ", ".join(f"('{name}', CAST({rate!r} AS DOUBLE))" for name, rate in known)
    return {
        "telemetry": _TELEMETRY,
        "truck_version": _TRUCK_VERSION,
        "version_fault": _VERSION_FAULT,
        "dead_letter": _DEAD_LETTER,
        "click": _CLICK,
        "click_line": _CLICK_LINE,
        "stream_gap": _STREAM_GAP,
        "currency_rate": f"SELECT * FROM (VALUES {values}) AS rate (currency, rate)",
        "main_currency": f"SELECT '{currency}' AS currency",
        **_REGISTERS,
    }


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
}
