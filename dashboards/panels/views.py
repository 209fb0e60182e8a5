"""Which panels each view shows: pages of Streamlit, dashboards of Grafana and QuickSight, questions of the notebook."""

from dashboards.panels import Panel, delivery, fleet, shop

PANELS: dict[str, Panel] = {panel.name: panel for panel in (*fleet.PANELS, *shop.PANELS, *delivery.PANELS)}
"""Every panel by its name."""

SHOP_PARTS: dict[str, tuple[str, ...]] = {
    "Traffic": ("shop_total", "traffic_hour", "traffic_day", "conversion_day", "funnel", "sales_day", "sales_category",
        "sales_country",
    ),
    "Items": ("clicks_item", "products", "recommendations", "stock", "items"),
    "Visitors": (
        "audience_referrer_class", "audience_device_type", "audience_browser", "audience_country", "engagement_device",
    ),
    "Journeys": ("page_flow", "pages", "searches", "sessions"),
}  # fmt: skip
"""The parts of the page Shop; each is read only when it is looked at."""

STREAMLIT: dict[str, tuple[str, ...]] = {
    "Overview": ("fleet_total", "shop_total", "samples_total", "distance_day", "revenue_day", "maintenance_item"),
    "Fleet map": ("positions", "stops"),
    "Trucks": ("truck_current", "speed_truck", "signals_hour", "truck_versions"),
    "Efficiency": (
        "savings", "efficiency_truck", "consumption_day", "idling_day", "distance_day", "fuel_events_kind",
        "fuel_events",
    ),
    "Maintenance": ("health_matrix", "maintenance", "maintenance_item", "faults_day", "battery_hour", "tyres_hour"),
    "Trips": ("trips_day", "driving_events", "trips", "zone_visits"),
    "Shop": tuple(name for names in SHOP_PARTS.values() for name in names),
    "Campaigns": ("campaigns", "campaigns_day", "audience_utm_campaign"),
    "Customers": ("segments", "cohorts", "customers"),
    "Deliveries": (
        "delivery_states", "late_reason", "late_country", "late_health", "late_truck", "routes_day", "deliveries",
    ),
    "Data quality": ("samples_total", "completeness_day", "completeness_truck", "rejected_day", "rejected", "quality"),
}  # fmt: skip

GRAFANA: dict[str, tuple[str, ...]] = {
    "Fleet": (
        "fleet_total", "positions", "maintenance", "distance_day", "consumption_day", "idling_day", "efficiency_truck",
        "maintenance_item", "faults_day", "savings", "driving_events", "fuel_events", "speed_truck",
    ),
    "Truck": ("truck_current", "signals_hour", "tyres_hour", "battery_hour", "trips", "stops", "truck_versions"),
    "Shop": (
        "shop_total", "funnel", "traffic_hour", "traffic_day", "conversion_day", "revenue_day", "clicks_item",
        "products", "audience_device_type", "audience_country", "audience_referrer_class", "audience_utm_campaign",
        "campaigns", "page_flow", "pages", "searches", "stock", "sales_day", "segments", "cohorts",
    ),
    "Pipeline": ("samples_total", "completeness_day", "completeness_truck", "rejected_day", "rejected", "quality"),
    "Deliveries": (
        "delivery_states", "late_reason", "late_country", "late_health", "late_truck", "routes_day", "deliveries",
    ),
}  # fmt: skip

QUICKSIGHT: dict[str, tuple[str, ...]] = {
    "Funnel": ("funnel",),
    "Product performance": ("products",),
    "Engagement": ("traffic_day", "engagement_device"),
    "Sales trends": ("sales_day", "sales_category", "revenue_day"),
    "Segments": ("segments",),
}


_WAYS = frozenset({"truck_trip", "truck_stop", "zone_visit", "driving_event"})


def tells_where(panel: Panel) -> bool:
    """Whether the panel tells where single trucks were, which is for operators: a driver's past ways are his.

    Args:
        panel: of any view.

    Returns:
        True for positions, and for rows of trips, stops, zones and driving events.
    """
    return any(each.unit == "°" for each in panel.measures) or (panel.mart in _WAYS and not panel.combined)
