"""Panels of deliveries and of the quality of the data behind all others."""

from dashboards.panels import Beside, Condition, Measure, Panel

TRUCK = ("truck_id",)
_LATE = (
    Measure("late_min", "mean", "min", warn=15),
    Measure("late_min", "max", "min", name="latest_min", warn=60),
    Measure("order_id", "count", "count", name="orders"),
)
_COUNTRY = Beside("fact_order_line", "country", "sale_id", "order_id")

PANELS = (
    Panel(
        "delivery_states", "Orders by state", "Of the orders placed in the period.", "delivery", ("state",),
        (Measure("order_id", "count", "count", name="orders"),), "bar", order=("-orders", "state"), filters=TRUCK,
    ),
    Panel(
        "late_truck", "Lateness per truck", "Mean and greatest lateness of delivered orders; negative is early.",
        "delivery", TRUCK, _LATE, "table", where=(Condition("late_min"),), order=("-late_min", "truck_id"),
        filters=TRUCK,
    ),
    Panel(
        "late_health", "Lateness by the truck's health", "Whether brakes, transmission or faults go with late orders.",
        "delivery", ("truck_health",), _LATE, "bar", where=(Condition("late_min"),),
        order=("-late_min", "truck_health"), filters=TRUCK,
    ),
    Panel(
        "late_country", "Lateness by country", "Mean and greatest lateness of delivered orders by where they went.",
        "delivery", ("country",), _LATE, "bar", where=(Condition("late_min"),), order=("-late_min", "country"),
        filters=TRUCK, beside=_COUNTRY,
    ),
    Panel(
        "late_reason", "Why orders were late", "The first cause that holds, of deliveries after the promise.",
        "delivery", ("late_reason",), (_LATE[2], *_LATE[:2]), "bar", where=(Condition("late_reason"),),
        order=("-orders", "late_reason"), filters=TRUCK,
    ),
    Panel(
        "deliveries", "Deliveries", "Each order from placing to delivery.", "delivery", ("order_id",),
        (
            Measure("state"),
            Measure("truck_id"),
            Measure("placed_at"),
            Measure("loaded_at"),
            Measure("promised_at"),
            Measure("delivered_at"),
            Measure("late_min", unit="min", warn=15),
            Measure("late_reason"),
            Measure("truck_health"),
        ),
        "table", order=("-placed_at", "order_id"), most=5000, filters=TRUCK,
    ),
    Panel(
        "samples_total", "Samples in this period", "Expected and received, late, lost and refused.", "completeness_day",
        (),
        (
            Measure("expected", "sum", "count"),
            Measure("received", "sum", "count"),
            Measure("late", "sum", "count"),
            Measure("lost", "sum", "count", warn=1),
            Measure("refused", "sum", "count", warn=1),
        ),
        "stat", filters=TRUCK,
    ),
    Panel(
        "completeness_day", "Completeness per day", "What was expected and what came.", "completeness_day", ("day",),
        (
            Measure("expected", "sum", "count"),
            Measure("received", "sum", "count"),
            Measure("late", "sum", "count"),
            Measure("lost", "sum", "count", warn=1),
        ),
        "line", order=("day",), filters=TRUCK,
    ),
    Panel(
        "completeness_truck", "Completeness per truck", "Trucks with lost samples first.", "completeness_day", TRUCK,
        (
            Measure("lost", "sum", "count", warn=1),
            Measure("late", "sum", "count"),
            Measure("refused", "sum", "count", warn=1),
            Measure("received", "sum", "count"),
            Measure("expected", "sum", "count"),
        ),
        "table", order=("-lost", "-late", "truck_id"), filters=TRUCK,
    ),
    Panel(
        "rejected", "Refused records", "By door and reason; a repeat is counted once.", "rejected_day",
        ("source", "reason"), (Measure("rows", "sum", "count", warn=1),), "table", order=("-rows", "source", "reason"),
    ),
    Panel(
        "rejected_day", "Refused records per day", "By the day on which they first came.", "rejected_day", ("day",),
        (Measure("rows", "sum", "count", warn=1),), "bar", order=("day",),
    ),
    Panel(
        "quality", "Quality rules", "Each rule on the lake build that the marts are made of.", "quality_run",
        ("rule",),
        (
            Measure("verdict"),
            Measure("failed", unit="count", warn=1),
            Measure("rows", unit="count"),
            Measure("threshold", unit="ratio"),
            Measure("action"),
            Measure("table_name"),
            Measure("run_at"),
        ),
        "table", order=("-failed", "rule"),
    ),
)  # fmt: skip
