"""What every view shows, said once: a panel is one SELECT over one mart; Streamlit, Grafana and QuickSight show it.

A panel only groups and adds up what a mart holds; how a number comes about is the mart's (docs/metrics.md). Each
result column has the name of the mart's column that it shows, so that a figure on a screen can be looked up.
"""

from dataclasses import dataclass
from typing import Literal

How = Literal["value", "sum", "min", "max", "mean", "count"]
Chart = Literal["stat", "line", "bar", "table", "map", "heatmap", "funnel", "flow"]
Unit = Literal[
    "",
    "count",
    "km",
    "km/h",
    "L",
    "L/100km",
    "min",
    "s",
    "ratio",
    "money",
    "price",
    "%",
    "°C",
    "psi",
    "V",
    "rpm",
    "°",
    "days",
]
"""money: in the warehouse's currency. price: in that of its own row."""

MART_TIME: dict[str, tuple[str, Literal["date", "timestamp"]] | None] = {
    "audience_day": ("day", "date"),
    "campaign_day": ("day", "date"),
    "completeness_day": ("day", "date"),
    "customer": None,
    "delivery": ("placed_at", "timestamp"),
    "driving_event": ("at", "timestamp"),
    "fuel_event": ("at", "timestamp"),
    "fuel_saving": ("month", "date"),
    "funnel_day": ("day", "date"),
    "item": None,
    "maintenance_due": None,
    "page_day": ("day", "date"),
    "page_flow": ("day", "date"),
    "product_day": ("day", "date"),
    "quality_run": None,
    "recommendation_day": ("day", "date"),
    "rejected_day": ("day", "date"),
    "retention": None,
    "route_day": ("day", "date"),
    "sales_day": ("day", "date"),
    "search_day": ("day", "date"),
    "session": ("started_at", "timestamp"),
    "stock_cover": None,
    "traffic_day": ("day", "date"),
    "traffic_hour": ("hour", "timestamp"),
    "truck_day": ("day", "date"),
    "truck_history": ("effective_start_date", "timestamp"),
    "truck_hour": ("hour", "timestamp"),
    "truck_stop": ("stop_start", "timestamp"),
    "truck_trip": ("trip_start", "timestamp"),
    "zone_visit": ("entered_at", "timestamp"),
}
"""Mart → the column by which a period is chosen, and its type; None where the mart is as of its newest data."""

INSTANTS = frozenset(
    {
        "at", "delivered_at", "effective_end_date", "effective_start_date", "entered_at", "first_seen", "hour",
        "last_seen", "left_at", "load_timestamp", "loaded_at", "placed_at", "promised_at", "run_at", "since",
        "started_at", "stop_end", "stop_start", "trip_end", "trip_start",
    }
)  # fmt: skip
"""Columns of the marts that hold an instant: `…sssZ` as `warehouse.read` gives it."""

NOT_ADDITIVE = frozenset(
    {
        *((mart, "users") for mart in ("traffic_day", "traffic_hour", "audience_day")),
        *(("retention", column) for column in ("customers", "active", "retained")),
        *((mart, "conversion") for mart in ("traffic_day", "traffic_hour")),
        *(("product_day", column) for column in ("view_to_cart", "cart_to_purchase")),
        ("traffic_day", "abandonment"),
        ("truck_day", "fuel_per_100km"),
        ("sales_day", "orders"),
        *(("page_day", column) for column in ("sessions", "scroll_mean")),
    }
)
"""(mart, column) whose rows must not be added up: ratios, and counts in which one person or order may stand twice."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a panel.

    column: the mart's. how: `value` shows the mart's rows as they are; the others combine rows (`mean` weighs them by
    the column `weight`, null rows left out; `count` counts rows in which the column is not null). name: of the result
    column where it is not `column`. warn: from this value on it is drawn as a warning, below it where `warn_below`.
    """

    column: str
    how: How = "value"
    unit: Unit = ""
    weight: str = ""
    name: str = ""
    warn: float | None = None
    warn_below: bool = False

    @property
    def result(self) -> str:
        """The name of the result column."""
        return self.name or self.column


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that belongs to the panel itself: `column = value`, or `column IS NOT NULL` where value is None."""

    column: str
    value: str | bool | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """A column that a fact of the star schema has of the same thing: each row of the panel's mart gets it.

    mart, column: the other mart and its column, of which all rows of one key have the same value. key: the other mart's
    key. own_key: the column of the panel's mart that is equal to it.
    """

    mart: str
    column: str
    key: str
    own_key: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A SELECT over one mart and how it is drawn.

    name: unique and stable, part of addresses and file names. by: columns that name a row of the result. newest: of
    each value of the first column only the row with the highest second. order: result columns, `-` in front for
    descending. most: rows at most, after ordering. period: whether the period chosen on the page applies. beside: a
    column of another mart that `by` names.
    """

    name: str
    title: str
    description: str
    mart: str
    by: tuple[str, ...]
    measures: tuple[Measure, ...]
    chart: Chart
    where: tuple[Condition, ...] = ()
    newest: tuple[str, str] | None = None
    order: tuple[str, ...] = ()
    most: int | None = None
    period: bool = True
    filters: tuple[str, ...] = ()
    beside: Beside | None = None

    @property
    def combined(self) -> bool:
        """Whether rows of the mart are combined; False where they are shown as they are."""
        return any(measure.how != "value" for measure in self.measures)

    @property
    def columns(self) -> tuple[str, ...]:
        """The result's columns, in order."""
        return (*self.by, *(measure.result for measure in self.measures))

    @property
    def time(self) -> tuple[str, Literal["date", "timestamp"]] | None:
        """The mart's column for the period and its type, None where no period applies."""
        return MART_TIME[self.mart] if self.period else None
