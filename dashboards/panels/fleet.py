"""Panels of trucks: way, fuel, idling, maintenance, trips, positions."""

from contract.thresholds import limit
from dashboards.panels import Condition, Measure, Panel

TRUCK = ("truck_id",)
SIGNALS = (
    Measure("speed_mean", unit="km/h"),
    Measure("engine_rpm_mean", unit="rpm"),
    Measure("engine_temperature_mean", unit="°C", warn=limit("coolant")),
    Measure("oil_pressure_mean", unit="psi"),
    Measure("battery_voltage_mean", unit="V"),
    Measure("fuel_level_mean", unit="%", warn=15, warn_below=True),
)
_PLACE = (Measure("latitude", unit="°"), Measure("longitude", unit="°"))
_CONSUMPTION = Measure("fuel_per_100km", "mean", "L/100km", weight="distance_km", warn=40)

PANELS = (
    Panel(
        "fleet_total", "The fleet in this period", "Way, fuel, idling and trips of the chosen trucks.", "truck_day", (),
        (
            Measure("distance_km", "sum", "km"),
            Measure("trips", "sum", "count"),
            Measure("fuel_l", "sum", "L"),
            _CONSUMPTION,
            Measure("idle_min", "sum", "min"),
            Measure("engine_min", "sum", "min"),
            Measure("faults_opened", "sum", "count", warn=1),
        ),
        "stat", filters=TRUCK,
    ),
    Panel(
        "distance_day", "Distance per day", "Kilometres of the chosen trucks, by odometer or GPS path.", "truck_day",
        ("day",), (Measure("distance_km", "sum", "km"),), "bar", order=("day",), filters=TRUCK,
    ),
    Panel(
        "consumption_day", "Consumption per day", "Weighted by distance; trucks without fuel data are left out.",
        "truck_day", ("day",), (_CONSUMPTION,), "line", order=("day",), filters=TRUCK,
    ),
    Panel(
        "idling_day", "Engine and idling per day", "Minutes with the engine on, and those of them below 5 km/h.",
        "truck_day", ("day",), (Measure("engine_min", "sum", "min"), Measure("idle_min", "sum", "min")), "line",
        order=("day",), filters=TRUCK,
    ),
    Panel(
        "faults_day", "New faults per day", "Fault codes that a version has and the one before has not.", "truck_day",
        ("day",), (Measure("faults_opened", "sum", "count", warn=1),), "bar", order=("day",), filters=TRUCK,
    ),
    Panel(
        "efficiency_truck", "Efficiency per truck", "Way, fuel, idling and consumption of each truck in the period.",
        "truck_day", TRUCK,
        (
            _CONSUMPTION,
            Measure("distance_km", "sum", "km"),
            Measure("fuel_l", "sum", "L"),
            Measure("idle_min", "sum", "min"),
            Measure("engine_min", "sum", "min"),
        ),
        "table", order=("-fuel_per_100km", "truck_id"), filters=TRUCK,
    ),
    Panel(
        "speed_truck", "Highest speed per truck", "The highest speed seen of each truck in the period.", "truck_day",
        TRUCK, (Measure("max_speed_kmh", "max", "km/h", warn=90),), "bar", order=("-max_speed_kmh", "truck_id"),
        most=50, filters=TRUCK,
    ),
    Panel(
        "truck_current", "Current trucks", "The version in force of each truck, as its opening sample had it.",
        "truck_history", TRUCK,
        (
            Measure("effective_start_date"),
            Measure("vehicle_speed", unit="km/h"),
            Measure("engine_rpm", unit="rpm"),
            Measure("fuel_level", unit="%", warn=15, warn_below=True),
            Measure("engine_temperature", unit="°C", warn=limit("coolant")),
            Measure("oil_pressure", unit="psi"),
            Measure("battery_voltage", unit="V"),
            Measure("odometer_reading", unit="km"),
            Measure("brake_status"),
            Measure("transmission_status"),
            Measure("gps_latitude", unit="°"),
            Measure("gps_longitude", unit="°"),
        ),
        "table", where=(Condition("is_current", True),), order=TRUCK, period=False, filters=TRUCK,
    ),
    Panel(
        "truck_versions", "Versions", "What was true of a truck from when until when (SCD type 2).", "truck_history",
        ("truck_id", "effective_start_date"),
        (
            Measure("effective_end_date"),
            Measure("is_current"),
            Measure("brake_status"),
            Measure("transmission_status"),
            Measure("fuel_level", unit="%"),
            Measure("odometer_reading", unit="km"),
            Measure("load_timestamp"),
            Measure("order_key"),
        ),
        "table", order=("-effective_start_date", "truck_id", "-order_key"), most=1000, filters=TRUCK,
    ),
    Panel(
        "signals_hour", "Signals over time", "Hourly means of each signal.", "truck_hour", ("truck_id", "hour"),
        SIGNALS, "line", order=("hour", "truck_id"), most=20_000, filters=TRUCK,
    ),
    Panel(
        "tyres_hour", "Tyre pressure over time", "Hourly means per wheel; a slow leak shows as a line that falls.",
        "truck_hour", ("truck_id", "hour"),
        tuple(
            Measure(f"tire_pressure_{wheel}_mean", unit="psi")
            for wheel in ("front_left", "front_right", "rear_left", "rear_right")
        ),
        "line", order=("hour", "truck_id"), most=20_000, filters=TRUCK,
    ),
    Panel(
        "battery_hour", "Lowest battery voltage", "Per hour; a weak battery dips when the engine starts.", "truck_hour",
        ("truck_id", "hour"), (Measure("battery_voltage_min", unit="V", warn=limit("battery"), warn_below=True),),
        "line", order=("hour", "truck_id"), most=20_000, filters=TRUCK,
    ),
    Panel(
        "fuel_events", "Refuels and drops",
        f"Changes of the fuel level of {limit('fuel_level'):g} points or more that stay.", "fuel_event",
        ("truck_id", "at"),
        (
            Measure("kind"),
            Measure("level_before", unit="%"),
            Measure("level_after", unit="%"),
            Measure("litres", unit="L"),
            Measure("suspicious"),
        ),
        "table", order=("-at", "truck_id"), most=1000, filters=TRUCK,
    ),
    Panel(
        "fuel_events_kind", "Refuels and drops per truck", "How often, and litres where the tank is known.",
        "fuel_event", ("truck_id", "kind"),
        (Measure("at", "count", "count", name="events"), Measure("litres", "sum", "L")), "bar",
        order=("truck_id", "kind"), filters=TRUCK,
    ),
    Panel(
        "maintenance", "What is due", "As of each truck's newest sample, with the figure that says so.",
        "maintenance_due", ("truck_id", "item"), (Measure("reason"), Measure("since"), Measure("evidence")), "table",
        order=("since", "truck_id", "item"), filters=TRUCK,
    ),
    Panel(
        "health_matrix", "Health matrix", "One line per truck, one column per item that is due.", "maintenance_due",
        ("truck_id", "item"), (Measure("since", "count", "count", name="due", warn=1),), "heatmap",
        order=("truck_id", "item"), filters=TRUCK,
    ),
    Panel(
        "maintenance_item", "Due per item", "Trucks for which each item is due.", "maintenance_due", ("item",),
        (Measure("truck_id", "count", "count", name="trucks", warn=1),), "bar", order=("-trucks", "item"),
        filters=TRUCK,
    ),
    Panel(
        "trips", "Trips", "From the first moving sample to a stop of 5 minutes or more.", "truck_trip",
        ("truck_id", "trip_start"),
        (
            Measure("trip_end"),
            Measure("distance_km", unit="km"),
            Measure("distance_source"),
            Measure("moving_min", unit="min"),
            Measure("idle_min", unit="min"),
            Measure("unobserved_min", unit="min"),
            Measure("fuel_l", unit="L"),
            Measure("fuel_source"),
            Measure("average_speed_kmh", unit="km/h"),
            Measure("max_speed_kmh", unit="km/h", warn=90),
            Measure("start_latitude", unit="°"),
            Measure("start_longitude", unit="°"),
            Measure("end_latitude", unit="°"),
            Measure("end_longitude", unit="°"),
        ),
        "table", order=("-trip_start", "truck_id"), most=5000, filters=TRUCK,
    ),
    Panel(
        "trips_day", "Trips per day", "Trips begun on each day.", "truck_day", ("day",),
        (Measure("trips", "sum", "count"),), "bar", order=("day",), filters=TRUCK,
    ),
    Panel(
        "positions", "Where the trucks are", "The end of each truck's newest trip in the period.", "truck_trip", TRUCK,
        (Measure("trip_end"), Measure("end_latitude", unit="°"), Measure("end_longitude", unit="°")), "map",
        where=(Condition("end_latitude"),), newest=("truck_id", "trip_start"), order=TRUCK, filters=TRUCK,
    ),
    Panel(
        "stops", "Stops", "At rest for 5 minutes or more, and how long the engine was on.", "truck_stop",
        ("truck_id", "stop_start"), (Measure("stop_end"), *_PLACE, Measure("idle_min", unit="min", warn=10)), "map",
        where=(Condition("latitude"),), order=("-stop_start", "truck_id"), most=5000, filters=TRUCK,
    ),
    Panel(
        "savings", "What could be saved", "Litres per month: idling, over the best quarter, shorter routes.",
        "fuel_saving", ("truck_id", "month"),
        (
            Measure("litres_idle", unit="L"),
            Measure("litres_over_best_quartile", unit="L"),
            Measure("litres_route", unit="L"),
            Measure("cost", unit="money"),
        ),
        "table", order=("-month", "-cost", "truck_id"), period=False, filters=TRUCK,
    ),
    Panel(
        "driving_events", "Harsh driving and overspeed",
        "Manoeuvres that trucks report, and stretches over the limit.", "driving_event", ("truck_id", "kind"),
        (Measure("at", "count", "count", name="events", warn=1), Measure("peak", "max")), "bar",
        order=("-events", "truck_id", "kind"), filters=TRUCK,
    ),
    Panel(
        "zone_visits", "Stays in zones", "From the first sample within a zone to the first outside.", "zone_visit",
        ("truck_id", "zone_id", "entered_at"), (Measure("left_at"), Measure("late_data")), "table",
        order=("-entered_at", "truck_id", "zone_id"), most=5000, filters=TRUCK,
    ),
    Panel(
        "routes_day", "Planned and driven", "Stops and km of stored plans against what was driven.", "route_day",
        ("day", "truck_id"),
        (
            Measure("stops_planned", unit="count"),
            Measure("stops_done", unit="count"),
            Measure("km_planned", unit="km"),
            Measure("km_driven", unit="km"),
            Measure("km_given_order", unit="km"),
            Measure("litres_saved", unit="L"),
            Measure("late", unit="count", warn=1),
        ),
        "table", order=("-day", "truck_id"), most=5000, filters=TRUCK,
    ),
)  # fmt: skip
