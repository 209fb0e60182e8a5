"""The lake's tables and the SQL that makes their rows of what the store gave (warehouse.lake.store_rows)."""

from warehouse.lake.schema import (
    CLICK,
    CUSTOMER_VERSION,
    DEAD_LETTER,
    ITEM_VERSION,
    ORDER_EVENT,
    ORDER_STATE,
    PLANNED_ROUTE,
    PLANNED_STOP,
    SERVICE_VERSION,
    STREAM_GAP,
    TELEMETRY,
    TRUCK_VERSION,
    VEHICLE_VERSION,
    LakeTable,
)
from warehouse.lake.typing_sql import select

COMMERCE = (
    ORDER_STATE,
    ORDER_EVENT,
    PLANNED_ROUTE,
    PLANNED_STOP,
    CUSTOMER_VERSION,
    ITEM_VERSION,
    VEHICLE_VERSION,
    SERVICE_VERSION,
)
"""Those that are read from commerce."""

TABLES = (TELEMETRY, TRUCK_VERSION, CLICK, DEAD_LETTER, STREAM_GAP, *COMMERCE)
"""Every table of the lake."""

_RECEIVED = "make_timestamptz(received_ms * 1000)"


def telemetry_select(samples: str) -> str:
    """Rows of `telemetry` from a relation with the columns of store_rows.SAMPLE."""
    given = {
        "truck_id": "truck_id",
        "sampled_at": "order_key[:24]",
        "received_at": _RECEIVED,
        "stream_id": "stream_id",
        "seq": "seq",
        "order_key": "order_key",
        "content_hash": "content",
        "tracked_key": "key",
        "dated_by_arrival": "by_arrival",
        "document": "text",
        "day": "order_key[:10]",
    }
    return select(TELEMETRY, samples, given, text="text")


def version_select() -> str:
    """Rows of `truck_version` from a relation `versions`."""
    given = {
        "truck_id": "truck_id",
        "effective_start_date": "order_key[:24]",
        "effective_end_date": "ends",
        "is_current": "ends IS NULL",
        "load_timestamp": _RECEIVED,
        "order_key": "order_key",
        "tracked_key": "key",
        "document": "text",
        "day": "order_key[:10]",
    }
    return select(TRUCK_VERSION, "versions", given, text="text")


def click_select(clicks: str) -> str:
    """Rows of `click` from a relation with the columns of store_rows.CLICK."""
    given = {
        "event_id": "event_id",
        "occurred_at": "occurred",
        "received_at": _RECEIVED,
        "document": "text",
        "day": "occurred[:10]",
    }
    return select(CLICK, clicks, given, text="text")


def dead_letter_select() -> str:
    """Rows of `dead_letter` from a relation `letters`."""
    columns = ", ".join(column.name for column in DEAD_LETTER.columns[2:-1])
    return (
        f"SELECT id, {_RECEIVED} AS received_at, {columns},"
        f" CAST({_RECEIVED} AT TIME ZONE 'UTC' AS DATE) AS day FROM letters"
    )


def commerce_select(table: LakeTable) -> str:
    """Rows of one of COMMERCE from a relation `documents` (warehouse.lake.commerce_rows)."""
    given = {
        ORDER_STATE: {"order_id": "id", "document": "wire", "day": "began[:10]"},
        ORDER_EVENT: {
            "order_id": "id",
            "event_id": "part",
            "occurred_at": "began",
            "received_at": _RECEIVED,
            "document": "wire",
            "day": "began[:10]",
        },
        PLANNED_ROUTE: {"truck_id": "id", "plan_id": "part", "document": "wire", "day": "began"},
        PLANNED_STOP: {"order_id": "id", "plan_id": "part", "document": "wire", "day": "began"},
    }.get(table)
    if given is None:
        subject = table.columns[0].name
        given = {subject: "id", "valid_from": "began", "valid_to": "ended", "is_current": "ended IS NULL"}
        given["document"] = "wire"
    return select(table, "documents", given)
