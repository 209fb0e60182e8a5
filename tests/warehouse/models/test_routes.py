"""Stored route plans against what was driven and delivered, against a hand calculation of the example fleet."""

from tests.warehouse import example
from tests.warehouse.fleet import Fleet


def test_a_days_plan_against_what_was_driven_and_delivered(fleet: Fleet) -> None:
    """Both stops of the second plan were delivered at 9:30, promised for 9:00; the first plan of that day is gone."""
    example.fill(fleet)
    fleet.build_marts(terms=example.TERMS)
    driven = fleet.query("SELECT distance_km FROM truck_day WHERE truck_id = 'T1' AND day = DATE '2024-06-02'")
    assert fleet.query("SELECT * FROM route_day WHERE day = DATE '2024-06-02'") == [
        {
            "day": "2024-06-02",
            "truck_id": "T1",
            "stops_planned": 2,
            "stops_done": 2,
            "km_planned": 31.5,
            "km_driven": driven[0]["distance_km"],
            "km_given_order": 40.0,
            "litres_saved": 2.5,
            "late": 2,
        }
    ]
    saved = fleet.query("SELECT litres_route FROM fuel_saving WHERE truck_id = 'T1'")
    assert saved == [{"litres_route": 5.0}]


def test_a_delivery_has_the_place_in_the_newest_plan_that_names_it(fleet: Fleet) -> None:
    example.fill(fleet)
    fleet.build_marts(terms=example.TERMS)
    found = fleet.query("SELECT order_id, planned_at, stop_no, late_min, late_reason FROM delivery ORDER BY order_id")
    assert [list(row.values()) for row in found] == [
        ["o0", "2024-06-02T09:05:00.000Z", 1, 30, "planned late"],
        ["o1", "2024-06-03T09:00:00.000Z", 1, 30, "planned late"],
        ["o2", None, None, None, None],
    ]


def test_a_plan_made_anew_takes_the_place_of_the_one_before_in_the_lake(fleet: Fleet) -> None:
    example.plan(fleet.shop)
    fleet.build()
    before = fleet.lake_rows()
    assert [row[0] for row in before["planned_stop"]] == ["o0", "o1", "o1"]
    example.plan(fleet.shop)
    done = fleet.build()
    assert done["tables"]["planned_stop"]["days"] == ["2024-06-02", "2024-06-03"]
    assert len(fleet.lake_rows()["planned_route"]) == len(before["planned_route"]) == 2
