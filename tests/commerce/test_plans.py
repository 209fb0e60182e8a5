"""Stored plans: one is in force for a day, and its stops are compared with what was delivered."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from commerce.orders.service import Orders
from commerce.routes.formats import as_gpx, navigation_link
from commerce.routes.plans import Plans
from commerce.storage.database import Database
from contract import timestamps
from contract.errors import Misconfigured
from tests.commerce.examples import event, order
from tests.milepost_here import run

AT = "2026-11-30T12:00:00.000Z"
AT_MS = timestamps.to_ms(AT)
MINUTE = 60_000


def a_plan(*names: str, truck_id: str = "T1", at_ms: int = AT_MS) -> dict[str, Any]:
    """A plan with one truck that reaches a stop every half an hour."""
    stops = [
        {
            "stop_no": number,
            "order_id": name,
            "latitude": 52.5 + number / 100,
            "longitude": 13.4,
            "arrive_at": timestamps.from_ms(at_ms + number * 30 * MINUTE),
            "leave_at": timestamps.from_ms(at_ms + (number * 30 + 5) * MINUTE),
        }
        for number, name in enumerate(names, start=1)
    ]
    truck = {"truck_id": truck_id, "km": 12.5, "hours": 2.0, "stops": stops}
    return {"depot": {"latitude": 52.5, "longitude": 13.4}, "trucks": [truck], "km": 12.5, "saved_km": 1.5}


def test_a_plan_made_anew_supersedes_that_of_its_day_and_no_other(database: Database) -> None:
    plans = Plans(database)
    first = plans.save(a_plan("A-1", "A-2"), made_ms=AT_MS)
    tomorrow = plans.save(a_plan("A-9", at_ms=AT_MS + 86_400_000), made_ms=AT_MS)
    second = plans.save(a_plan("A-2", "A-3", truck_id="T2"), made_ms=AT_MS + 1)
    assert [(plan["version"], plan["in_force"]) for plan in plans.all()] == [(1, True), (2, True), (1, False)]
    assert (plans.compared("2026-11-30") or {})["plan_id"] == second["plan_id"]
    assert (plans.compared(first["plan_id"]) or {})["version"] == 1
    assert plans.stop_of("A-1") is None
    assert (plans.stop_of("A-2") or ("",))[0] == "T2"
    assert (plans.stop_of("A-9") or ("",))[0] == "T1"
    assert plans.route_of("T1", AT) is None
    assert (plans.route_of("T1", tomorrow["trucks"][0]["stops"][0]["arrive_at"]) or {})["day"] == "2026-12-01"


def test_a_tour_past_midnight_is_still_the_trucks_route(database: Database) -> None:
    plans = Plans(database)
    plans.save(a_plan("A-1", "A-2", "A-3", at_ms=timestamps.to_ms("2026-11-30T23:00:00.000Z")), made_ms=AT_MS)
    assert (plans.route_of("T1", "2026-12-01T00:20:00.000Z") or {})["day"] == "2026-11-30"
    assert plans.route_of("T1", "2026-12-01T09:00:00.000Z") is None


def test_stops_are_compared_with_the_delivery_events(database: Database) -> None:
    orders, plans = Orders(database), Plans(database)
    plans.save(a_plan("A-1", "A-2", "A-3"), made_ms=AT_MS)
    for name in ("A-1", "A-2"):
        orders.take_order(order(name), received_ms=AT_MS - MINUTE, payload=b"")
        said = event("loaded", at_ms=AT_MS, truck_id="T1")
        orders.take_event(name, said, received_ms=AT_MS, payload=b"")
    late = event("delivered", at_ms=AT_MS + 42 * MINUTE)
    orders.take_event("A-1", late, received_ms=AT_MS + 60 * MINUTE, payload=b"")
    stops = (plans.route_of("T1", AT) or {})["stops"]
    assert [(stop["state"], stop["late_min"], stop["by"]) for stop in stops] == [
        ("delivered", 12.0, "T1"),
        ("loaded", None, "T1"),
        (None, None, None),
    ]
    assert navigation_link({"stops": stops}) == "geo:52.520000,13.400000"


def test_a_plan_without_a_stop_is_not_saved(database: Database) -> None:
    with pytest.raises(Misconfigured, match="no stop"):
        Plans(database).save(a_plan(), made_ms=AT_MS)


def test_a_route_is_gpx(database: Database) -> None:
    plans = Plans(database)
    plans.save(a_plan("A-1", "<&>"), made_ms=AT_MS)
    found = fromstring(as_gpx(plans.route_of("T1", AT) or {}))
    names = [name.text for name in found.iter("{http://www.topografix.com/GPX/1/1}name")]
    assert names == ["T1 2026-11-30", "depot", "A-1", "<&>", "depot"]


def test_the_commands_save_list_and_show(tmp_path: Path) -> None:
    day = {
        "depot": {"latitude": 52.52, "longitude": 13.40},
        "stops": [{"order_id": f"A-{n}", "latitude": 52.5 + n / 50, "longitude": 13.4} for n in range(4)],
        "trucks": [{"truck_id": "T1", "litres_per_100km": 20}],
    }
    (tmp_path / "day.json").write_text(json.dumps(day))
    data = ("--data-dir", tmp_path / "data", "--json")
    saved = run("routes", "plan", tmp_path / "day.json", "--save", *data).json
    listed = run("routes", "list", *data).json
    assert [(plan["plan_id"], plan["in_force"]) for plan in listed] == [(saved["plan_id"], True)]
    shown = run("routes", "show", saved["day"], *data).json
    assert [stop["state"] for stop in shown["trucks"][0]["stops"]] == [None] * 4
    assert shown["trucks"][0]["given_order_km"] >= shown["trucks"][0]["km"]
    assert run("routes", "show", "nothing", *data).code == 1
