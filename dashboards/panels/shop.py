"""Panels of the shop: traffic, funnel, products, sessions, audience, sales, customers."""

from dashboards.panels import Condition, Measure, Panel

ITEM = ("item_id",)
COUNTRY = ("country",)
_REVENUE = Measure("revenue", "sum", "money")


def _audience(dimension: str, title: str, description: str) -> Panel:
    return Panel(
        f"audience_{dimension}", title, description, "audience_day", ("value",),
        (Measure("sessions", "sum", "count"), Measure("purchases", "sum", "count"), _REVENUE), "bar",
        where=(Condition("dimension", dimension),), order=("-sessions", "value"), most=30,
    )  # fmt: skip


PANELS = (
    Panel(
        "shop_total", "The shop in this period", "Visits, views, sales and what they brought.", "traffic_day", (),
        (
            Measure("sessions", "sum", "count"),
            Measure("page_views", "sum", "count"),
            Measure("new_users", "sum", "count"),
            Measure("purchases", "sum", "count"),
            _REVENUE,
            Measure("conversion", "mean", "ratio", weight="sessions"),
        ),
        "stat",
    ),
    Panel(
        "clicks_item", "Clicks per item", "Clicks and views of each item; the names are the last used.", "product_day",
        ITEM, (Measure("item_name", "max"), Measure("clicks", "sum", "count"), Measure("views", "sum", "count")), "bar",
        order=("-clicks", "-views", "item_id"), most=1000, filters=ITEM,
    ),
    Panel(
        "products", "Products", "From view to cart to purchase, per item.", "product_day", ITEM,
        (
            Measure("item_name", "max"),
            Measure("category", "max"),
            Measure("views", "sum", "count"),
            Measure("clicks", "sum", "count"),
            Measure("added", "sum", "count"),
            Measure("purchased", "sum", "count"),
            _REVENUE,
            Measure("view_to_cart", "mean", "ratio", weight="views"),
            Measure("cart_to_purchase", "mean", "ratio", weight="added"),
        ),
        "table", order=("-revenue", "-views", "item_id"), most=1000, filters=ITEM,
    ),
    Panel(
        "funnel", "Funnel", "Sessions that came as far as each step; unattributed counts events without a session.",
        "funnel_day", ("step",), (Measure("sessions", "sum", "count"),), "funnel", order=("-sessions", "step"),
    ),
    Panel(
        "traffic_hour", "Traffic per hour", "Page views, sessions and users of each hour.", "traffic_hour", ("hour",),
        (Measure("page_views", unit="count"), Measure("sessions", unit="count"), Measure("users", unit="count")),
        "line", order=("hour",), most=20_000,
    ),
    Panel(
        "traffic_day", "Traffic per day", "Sessions, users and new users of each day.", "traffic_day", ("day",),
        (Measure("sessions", unit="count"), Measure("users", unit="count"), Measure("new_users", unit="count")), "line",
        order=("day",),
    ),
    Panel(
        "conversion_day", "Conversion per day", "Sessions with a purchase, and carts that were left.", "traffic_day",
        ("day",), (Measure("conversion", unit="ratio"), Measure("abandonment", unit="ratio")), "line", order=("day",),
    ),
    Panel(
        "revenue_day", "Revenue per day", "Sales by the day placed; cancelled out, returned in.", "traffic_day",
        ("day",), (Measure("revenue", unit="money"), Measure("purchases", unit="count")), "line", order=("day",),
    ),
    Panel(
        "sessions", "Sessions", "The newest sessions, with what they did.", "session", ("session_id",),
        (
            Measure("started_at"),
            Measure("duration_s", unit="s"),
            Measure("engaged_s", unit="s"),
            Measure("page_views", unit="count"),
            Measure("events", unit="count"),
            Measure("device_type"),
            Measure("country"),
            Measure("referrer_host"),
            Measure("landing_page"),
            Measure("viewed", unit="count"),
            Measure("added", unit="count"),
            Measure("purchased", unit="count"),
            Measure("revenue", unit="money"),
            Measure("abandoned"),
        ),
        "table", order=("-started_at", "session_id"), most=5000, filters=COUNTRY,
    ),
    Panel(
        "engagement_device", "Engagement per device", "Sessions, their mean duration and the time pages were in use.",
        "session", ("device_type",),
        (
            Measure("session_id", "count", "count", name="sessions"),
            Measure("duration_s", "mean", "s"),
            Measure("engaged_s", "mean", "s"),
        ),
        "table", order=("-sessions", "device_type"), filters=COUNTRY,
    ),
    _audience("device_type", "Devices", "Sessions, purchases and revenue per kind of device."),
    _audience("browser", "Browsers", "Sessions, purchases and revenue per browser."),
    _audience("country", "Countries", "Sessions, purchases and revenue per country."),
    _audience("referrer_class", "Referrers", "Direct, search, social or other site."),
    _audience("utm_campaign", "Sessions per campaign", "By the campaign named in the address of the first page."),
    Panel(
        "page_flow", "From page to page", "Sessions that went from one page to the next.", "page_flow",
        ("from_page", "to_page"), (Measure("sessions", "sum", "count"),), "flow",
        order=("-sessions", "from_page", "to_page"), most=60,
    ),
    Panel(
        "sales_day", "Sales per day and category", "Revenue and pieces by category.", "sales_day", ("day", "category"),
        (_REVENUE, Measure("units", "sum", "count")), "line", order=("day", "category"), filters=COUNTRY,
    ),
    Panel(
        "sales_category", "Sales per category", "Revenue and pieces by category.", "sales_day", ("category",),
        (_REVENUE, Measure("units", "sum", "count")), "bar", order=("-revenue", "category"), filters=COUNTRY,
    ),
    Panel(
        "sales_country", "Sales per country", "Revenue and pieces by country.", "sales_day", COUNTRY,
        (_REVENUE, Measure("units", "sum", "count")), "bar", order=("-revenue", "country"), filters=COUNTRY,
    ),
    Panel(
        "segments", "Segments", "Customers, their orders and revenue per segment.", "customer", ("segment",),
        (Measure("customer_id", "count", "count", name="customers"), Measure("orders", "sum", "count"), _REVENUE),
        "bar", order=("-revenue", "segment"), filters=COUNTRY,
    ),
    Panel(
        "customers", "Customers", "Each customer with recency, frequency and revenue.", "customer", ("customer_id",),
        (
            Measure("segment"),
            Measure("rfm"),
            Measure("orders", unit="count"),
            Measure("revenue", unit="money"),
            Measure("recency_days"),
            Measure("first_seen"),
            Measure("last_seen"),
            Measure("country"),
            Measure("loyalty_tier"),
            Measure("first_source"),
            Measure("returned_share", unit="ratio", warn=0.3),
        ),
        "table", order=("-revenue", "customer_id"), most=5000, filters=COUNTRY,
    ),
    Panel(
        "cohorts", "Retention by cohort",
        "Of the customers who first ordered in a month, how many ordered so many months later.",
        "retention", ("cohort_month", "month_no"),
        (
            Measure("customers", unit="count"),
            Measure("active", unit="count"),
            Measure("retained", unit="ratio"),
            Measure("revenue", unit="money"),
        ),
        "heatmap", order=("cohort_month", "month_no"),
    ),
    Panel(
        "pages", "Pages", "Views, entrances and exits per page.", "page_day", ("page",),
        (
            Measure("views", "sum", "count"),
            Measure("entrances", "sum", "count"),
            Measure("exits", "sum", "count"),
            Measure("engaged_s", "sum", "s"),
            Measure("scroll_mean", "mean", "%", weight="views"),
        ),
        "table", order=("-views", "page"), most=1000,
    ),
    Panel(
        "searches", "Searches", "What was searched for, what found nothing, what led to a click.", "search_day",
        ("term",),
        (
            Measure("searches", "sum", "count"),
            Measure("without_results", "sum", "count", warn=1),
            Measure("clicked", "sum", "count"),
        ),
        "table", order=("-searches", "term"), most=1000,
    ),
    Panel(
        "campaigns", "Campaigns", "Sessions and sales by source, medium and campaign; 30 days look-back.",
        "campaign_day", ("source", "medium", "campaign"),
        (
            Measure("sessions", "sum", "count"),
            Measure("new_users", "sum", "count"),
            Measure("orders", "sum", "count"),
            Measure("revenue_first_touch", "sum", "money"),
            Measure("revenue_last_touch", "sum", "money"),
        ),
        "table", order=("-revenue_last_touch", "-sessions", "source", "medium", "campaign"),
    ),
    Panel(
        "campaigns_day", "Campaign revenue per day", "By the last touch before the sale.", "campaign_day",
        ("day", "source"), (Measure("revenue_last_touch", "sum", "money"),), "line", order=("day", "source"),
    ),
    Panel(
        "recommendations", "Recommendations", "What was shown, clicked and bought; popularity is the comparison.",
        "recommendation_day", ("model_version", "placement"),
        (
            Measure("shown", "sum", "count"),
            Measure("clicked", "sum", "count"),
            Measure("bought", "sum", "count"),
            _REVENUE,
        ),
        "table", order=("-shown", "model_version", "placement"),
    ),
    Panel(
        "stock", "Stock", "How long the stock of each active item lasts at the sales of the last 7 days.",
        "stock_cover", ITEM,
        (
            Measure("stock", unit="count"),
            Measure("units_sold_7d", unit="count"),
            Measure("days_left", unit="days", warn=7, warn_below=True),
        ),
        "table", order=("days_left", "item_id"), filters=ITEM,
    ),
    Panel(
        "items", "Catalogue", "Items as they are now; those of no catalogue come from events.", "item", ITEM,
        (
            Measure("item_name"),
            Measure("category"),
            Measure("price", unit="price"),
            Measure("currency"),
            Measure("active"),
            Measure("stock", unit="count"),
            Measure("source"),
        ),
        "table", order=ITEM, most=5000, filters=ITEM,
    ),
)  # fmt: skip
