"""The lake's tables: columns, types, units and where each value stands in the wire's document.

Names are those of the earlier Snowflake table in lower case; units come from the wire's own models. A column is only
ever added, at the end of its table: files written before it was known read as null there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from contract.click_schema import Click
from contract.telemetry import LEAVES, Telemetry

Type = Literal["text", "double", "long", "boolean", "instant", "day"]
DUCKDB: dict[str, str] = {
    "text": "VARCHAR",
    "double": "DOUBLE",
    "long": "BIGINT",
    "boolean": "BOOLEAN",
    "instant": "TIMESTAMPTZ",
    "day": "DATE",
}


@dataclass(frozen=True, slots=True)
class LakeColumn:
    """A column; `path` is where its value stands in the wire's document, None where the lake gives it itself.

    json: the value is kept as JSON text.
    """

    name: str
    type: Type
    comment: str
    path: tuple[str, ...] | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class LakeTable:
    """A table; `key` names a row, `sort` is the order of rows in a file, and `day` is what it is partitioned by."""

    name: str
    comment: str
    columns: tuple[LakeColumn, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...]

    @property
    def by_day(self) -> bool:
        """Partitioned by its column `day`; else the table is one file."""
        return any(column.name == "day" for column in self.columns)


_SHORT = {
    "gps_location": "gps_",
    "engine_diagnostics": "",
    "vehicle_health_and_maintenance.tire_pressure": "tire_pressure_",
    "vehicle_health_and_maintenance": "",
    "environmental_conditions": "environment_",
}
_NAMES = {"environmental_conditions.atmospheric_pressure": "environment_pressure"}
_FIRST = """
    gps_latitude gps_longitude gps_altitude gps_speed vehicle_speed engine_rpm fuel_level engine_temperature
    oil_pressure battery_voltage odometer_reading fuel_consumption brake_status tire_pressure_front_left
    tire_pressure_front_right tire_pressure_rear_left tire_pressure_rear_right transmission_status
    environment_temperature environment_humidity environment_pressure
"""  # in the order of the earlier table


def flat_name(leaf: str) -> str:
    """The column of a dotted wire field: `gps_location.latitude` → `gps_latitude`."""
    group, _, name = leaf.rpartition(".")
    return _NAMES.get(leaf, f"{_SHORT.get(group, '')}{name}")


def _measured() -> tuple[LakeColumn, ...]:
    schema = Telemetry.model_json_schema()
    found = {flat_name(leaf): LakeColumn(flat_name(leaf), *_typed(leaf, schema)) for leaf in LEAVES}
    faults = "vehicle_health_and_maintenance.active_faults"
    found["active_faults"] = LakeColumn(
        "active_faults", "text", "JSON: [{spn, fmi, count, source}]", tuple(faults.split(".")), json=True
    )
    return tuple(found.pop(name) for name in _FIRST.split()) + tuple(found.values())


def _typed(leaf: str, schema: Mapping[str, Any]) -> tuple[Type, str, tuple[str, ...]]:
    path = tuple(leaf.split("."))
    unit, title = _field(leaf, schema)
    if not unit:
        return "text", title or "as the vehicle reports it", path
    return "double", f"{title or path[-1]}, {unit}", path


def _field(leaf: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """Unit and title of a measured field, from the schema of the wire's model."""
    group, _, name = leaf.rpartition(".")
    node = schema
    for part in [*(group.split(".") if group else []), name]:
        node = node["properties"][part]
        for choice in node.get("anyOf", ()):
            if "$ref" in choice:
                node = schema["$defs"][choice["$ref"].rsplit("/", 1)[1]]
    return str(node.get("unit", "")), str(node.get("title", ""))


MEASURED = _measured()
"""A column for each measured field of a sample."""

_TELEMETRY = (
    LakeColumn("truck_id", "text", "the truck"),
    LakeColumn("sampled_at", "instant", "when the sample was taken, or the date the collector gave it"),
    LakeColumn("received_at", "instant", "when the collector first received it"),
    LakeColumn("stream_id", "text", "the buffer file that numbered it; null for earlier producers"),
    LakeColumn("seq", "long", "its number in the stream, 1, 2, 3 …"),
    LakeColumn("order_key", "text", "what history sorts by: sampled_at#stream_id#seq#content hash"),
    LakeColumn("content_hash", "text", "SHA-256 of the producer's canonical document"),
    LakeColumn("tracked_key", "text", "a version opens where it differs from the sample before"),
    LakeColumn("dated_by_arrival", "boolean", "the sample had no usable time of its own"),
    LakeColumn("time_quality", "text", "gps, ntp, cloud or estimated", ("time_quality",)),
    *MEASURED,
    LakeColumn("quality", "text", "JSON: field or group → why it is null", ("quality",), json=True),
    LakeColumn("interval_s", "double", "since_last: seconds that the summary covers, s", ("since_last", "seconds")),
    LakeColumn("moving_s", "double", "since_last: time moving, s", ("since_last", "moving_seconds")),
    LakeColumn("idle_s", "double", "since_last: time idling, s", ("since_last", "idle_seconds")),
    LakeColumn("distance_km", "double", "since_last: distance driven, km", ("since_last", "distance_km")),
    LakeColumn("fuel_l", "double", "since_last: fuel used, L", ("since_last", "fuel_l")),
    LakeColumn(
        "speed_max", "double", "since_last: highest vehicle speed, km/h", ("since_last", "max", "vehicle_speed")
    ),
    LakeColumn("since_last", "text", "JSON: what happened since the sample before", ("since_last",), json=True),
    LakeColumn("custom", "text", "JSON: the fleet's own signals", ("custom",), json=True),
    LakeColumn("document", "text", "the producer's document as it came"),
    LakeColumn("day", "day", "UTC day of sampled_at"),
)
_VERSION = (
    LakeColumn("truck_id", "text", "the truck"),
    LakeColumn("effective_start_date", "instant", "when the version began"),
    LakeColumn("effective_end_date", "instant", "when the next version began; null while current"),
    LakeColumn("is_current", "boolean", "no later version is known"),
    LakeColumn("load_timestamp", "instant", "when the opening sample was first received"),
    LakeColumn("order_key", "text", "order key of the opening sample"),
    LakeColumn("tracked_key", "text", "the tracked fields' values or bands, as JSON"),
    *MEASURED,
    LakeColumn("document", "text", "the opening sample as it came"),
    LakeColumn("day", "day", "UTC day of effective_start_date"),
)
_CLICK_TYPES: dict[str, Type] = {
    "click_count": "long",
    "price": "double",
    "quantity": "double",
    "is_bot": "boolean",
    "search_results": "long",
    "engaged_seconds": "double",
    "scroll_percent": "double",
}
_CLICK_COMMENTS = {
    "event_type": "page_view, view, click, add_to_cart, remove_from_cart, purchase, search, or a custom name",
    "price": "unit price, in `currency`",
    "quantity": "pieces",
    "engaged_seconds": "time the page was in use, s",
    "scroll_percent": "how far the page was scrolled, %",
}
_CLICK_EXTRA = """
    title language screen utm_source utm_medium utm_campaign utm_term utm_content currency lines properties
    refused_fields time_quality search_term search_results engaged_seconds scroll_percent is_bot os country
    customer_id recommendation_id model_version position placement
"""
_JSON_FIELDS = {"lines", "properties", "refused_fields"}


def _click_columns() -> Iterator[LakeColumn]:
    yield LakeColumn("event_id", "text", "the event's identity")
    yield LakeColumn("occurred_at", "instant", "when it happened, corrected for the browser's clock")
    yield LakeColumn("received_at", "instant", "when the collector first received it")
    known = [name for name in Click.model_fields if name not in ("event_id", "timestamp")]
    for name in dict.fromkeys([*known, *_CLICK_EXTRA.split()]):
        kind = _CLICK_TYPES.get(name, "text")
        yield LakeColumn(name, kind, _CLICK_COMMENTS.get(name, name.replace("_", " ")), (name,), name in _JSON_FIELDS)
    yield LakeColumn("document", "text", "the event as it came, under the wire's names")
    yield LakeColumn("day", "day", "UTC day of occurred_at")


_DEAD_LETTER = (
    LakeColumn("id", "text", "hash of source and payload"),
    LakeColumn("received_at", "instant", "when it came first"),
    LakeColumn("source", "text", "the door: mqtt:…, http:…, file:…, lake:…"),
    LakeColumn("field", "text", "the field that was wrong; null for the whole document"),
    LakeColumn("reason", "text", "what was wrong and what would be right"),
    LakeColumn("payload", "text", "as it came; base64 where it is not UTF-8"),
    LakeColumn("payload_is_base64", "boolean", "the payload is not UTF-8"),
    LakeColumn("times", "long", "how often it came"),
    LakeColumn("day", "day", "UTC day of received_at"),
)

TELEMETRY = LakeTable(
    "telemetry", "one row per sample", _TELEMETRY, ("truck_id", "order_key"), ("truck_id", "order_key")
)
TRUCK_VERSION = LakeTable(
    "truck_version", "SCD type 2: one row per version", _VERSION, ("truck_id", "order_key"), ("truck_id", "order_key")
)
CLICK = LakeTable("click", "one row per event", tuple(_click_columns()), ("event_id",), ("occurred_at", "event_id"))
DEAD_LETTER = LakeTable("dead_letter", "one row per refused record", _DEAD_LETTER, ("id",), ("received_at", "id"))
STREAM_GAP = LakeTable(
    "stream_gap",
    "numbers of a truck's stream that did not come: one row per range",
    (
        LakeColumn("truck_id", "text", "the truck"),
        LakeColumn("stream_id", "text", "the buffer file that numbered them"),
        LakeColumn("state", "text", "missing, lost, thinned or refused"),
        LakeColumn("first_seq", "long", "first number of the range"),
        LakeColumn("last_seq", "long", "last number of the range, inclusive"),
    ),
    ("truck_id", "stream_id", "state", "first_seq"),
    ("truck_id", "stream_id", "first_seq"),
)


def _documented(name: str, *, kind: Type = "text", comment: str = "", path: str = "") -> LakeColumn:
    return LakeColumn(name, kind, comment or name.replace("_", " "), tuple((path or name).split(".")))


def _version(
    name: str, subject: str, comment: str, *fields: LakeColumn, added: tuple[LakeColumn, ...] = ()
) -> LakeTable:
    """A table of SCD type 2 versions of a register of commerce; added: columns of later releases."""
    columns = (
        LakeColumn(subject, "text", "the subject of the version"),
        LakeColumn("valid_from", "instant", "when the version began"),
        LakeColumn("valid_to", "instant", "when the next version began; null while current"),
        LakeColumn("is_current", "boolean", "no later version is known"),
        *fields,
        LakeColumn("document", "text", "what was put into the register"),
        *added,
    )
    return LakeTable(name, comment, columns, (subject, "valid_from"), (subject, "valid_from"))


ORDER_TIMES = ("placed", "paid", "packed", "loaded", "delivered", "failed", "cancelled", "returned", "promised")
"""What can be known of an order's course: column `NAME_at`."""

ORDER_STATE = LakeTable(
    "order_state",
    "one row per order: what its events make of it",
    (
        LakeColumn("order_id", "text", "the order"),
        *(
            _documented(name)
            for name in ("customer_id", "session_id", "state", "truck_id", "currency", "payment_method")
        ),
        *(_documented(f"{name}_at", kind="instant") for name in ORDER_TIMES),
        _documented("country", path="shipping.country"),
        _documented("postcode", path="shipping.postcode"),
        _documented("latitude", kind="double", comment="of the door, degrees", path="shipping.latitude"),
        _documented("longitude", kind="double", comment="of the door, degrees", path="shipping.longitude"),
        LakeColumn("lines", "text", "JSON: [{item_id, item_name, category, price, quantity}]", ("lines",), json=True),
        LakeColumn("document", "text", "the state as commerce gives it"),
        LakeColumn("day", "day", "UTC day of placed_at"),
    ),
    ("order_id",),
    ("placed_at", "order_id"),
)
ORDER_EVENT = LakeTable(
    "order_event",
    "one row per event of an order, as it counts",
    (
        LakeColumn("order_id", "text", "the order"),
        LakeColumn("event_id", "text", "the event's identity"),
        _documented("type", comment="paid, packed, loaded, delivered, failed, cancelled, returned or placed"),
        LakeColumn("occurred_at", "instant", "when it happened"),
        LakeColumn("received_at", "instant", "when it first came"),
        _documented("truck_id"),
        LakeColumn("document", "text", "the event as it came"),
        LakeColumn("day", "day", "UTC day of occurred_at"),
    ),
    ("order_id", "event_id"),
    ("occurred_at", "order_id", "event_id"),
)
PLANNED_ROUTE = LakeTable(
    "planned_route",
    "one row per truck of a day's route plan; of plans of one day the newest",
    (
        LakeColumn("truck_id", "text", "the truck"),
        LakeColumn("plan_id", "text", "the plan"),
        _documented("version", kind="long", comment="1, 2, 3 … of its day"),
        _documented("made_at", kind="instant", comment="when the plan was saved"),
        _documented("km", kind="double", comment="length of the route, km"),
        _documented("hours", kind="double", comment="from leaving the depot to the return, h"),
        _documented("given_order_km", kind="double", comment="length in the order in which the stops were given, km"),
        _documented("saved_litres", kind="double", comment="fuel saved against that order, L"),
        LakeColumn("document", "text", "the route without its stops"),
        LakeColumn("day", "day", "UTC day of the plan's first arrival"),
    ),
    ("truck_id", "day"),
    ("truck_id",),
)
PLANNED_STOP = LakeTable(
    "planned_stop",
    "one row per stop of a day's route plan; of plans of one day the newest",
    (
        LakeColumn("order_id", "text", "the order that is delivered there"),
        LakeColumn("plan_id", "text", "the plan"),
        _documented("truck_id"),
        _documented("stop_no", kind="long", comment="its place in the truck's route, 1, 2, 3 …"),
        _documented("arrive_at", kind="instant", comment="planned arrival"),
        _documented("leave_at", kind="instant", comment="planned departure"),
        _documented("latitude", kind="double", comment="degrees"),
        _documented("longitude", kind="double", comment="degrees"),
        _documented("made_at", kind="instant", comment="when the plan was saved"),
        LakeColumn("document", "text", "the stop"),
        LakeColumn("day", "day", "UTC day of the plan's first arrival"),
    ),
    ("order_id", "day"),
    ("truck_id", "stop_no"),
)
CUSTOMER_VERSION = _version(
    "customer_version",
    "customer_id",
    "SCD type 2 of customers",
    *(_documented(name) for name in ["country", "postcode", "language", "gender", "loyalty_tier"]),
    _documented("birth_year", kind="long"),
    _documented("loyalty_points", kind="double"),
    _documented("loyalty_since", kind="instant"),
    _documented("marketing_consent", kind="boolean"),
    _documented("created_at", kind="instant"),
)
ITEM_VERSION = _version(
    "item_version",
    "item_id",
    "SCD type 2 of the catalogue",
    *(_documented(name) for name in ["item_name", "category", "currency"]),
    _documented("price", kind="double"),
    _documented("stock", kind="double", comment="pieces in stock"),
    _documented("active", kind="boolean"),
)
VEHICLE_VERSION = _version(
    "vehicle_version",
    "truck_id",
    "SCD type 2 of the vehicle register",
    _documented("plate"),
    _documented("name"),
    _documented("vehicle_group", path="group"),
    _documented("fuel_type"),
    _documented("driver_id"),
    _documented("tank_litres", kind="double", comment="tank, L"),
    _documented("capacity", kind="double"),
    _documented("depot_latitude", kind="double", comment="degrees"),
    _documented("depot_longitude", kind="double", comment="degrees"),
    _documented("service_every_km", kind="double", comment="service interval, km"),
    _documented("last_service_km", kind="double", comment="odometer at the last service, km"),
    _documented("last_service_at", kind="instant"),
    added=(_documented("speed_limit_kmh", kind="double", comment="where no zone says another, km/h"),),
)
SERVICE_VERSION = _version(
    "service_version",
    "service_id",
    "services that were done, one subject per truck and item",
    _documented("truck_id"),
    _documented("item", comment="what was serviced"),
    _documented("odometer", kind="double", comment="the odometer then, km"),
)
