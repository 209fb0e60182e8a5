"""When an order will be there: by plan, by position, by both; and how sure that is."""

from typing import Any

from commerce.deliveries.arrival import estimate
from contract import timestamps
from tests.commerce.test_plans import AT_MS, MINUTE, a_plan

SHIPPING = {"latitude": 52.53, "longitude": 13.40}


def state(name: str = "loaded", order_id: str = "A-3") -> dict[str, Any]:
    return {"order_id": order_id, "state": name, "truck_id": "T1", "shipping": SHIPPING}


def route(*done: tuple[int, int]) -> dict[str, Any]:
    """Three stops; done: (stop_no, minutes after AT)."""
    found: dict[str, Any] = a_plan("A-1", "A-2", "A-3")["trucks"][0]
    for stop in found["stops"]:
        stop |= {"done_at": None, "state": "loaded"}
    for number, minutes in done:
        found["stops"][number - 1] |= {
            "done_at": timestamps.from_ms(AT_MS + minutes * MINUTE),
            "state": "delivered",
        }
    return found


def heard(minutes: int, latitude: float = 52.50) -> dict[str, Any]:
    return {"sampled_at": timestamps.from_ms(AT_MS + minutes * MINUTE), "latitude": latitude, "longitude": 13.40}


def minutes_of(found: dict[str, Any] | None, name: str) -> float:
    assert found is not None
    return (timestamps.to_ms(found[name]) - AT_MS) / MINUTE


def test_before_loading_the_plan_says_it() -> None:
    found = estimate(state("packed"), route(), None, missing=None, now_ms=AT_MS)
    assert found is not None
    assert (found["basis"], minutes_of(found, "arrive_at"), found["stops_before"]) == ("plan", 90, 2)


def test_the_delay_at_the_last_stop_moves_the_plan() -> None:
    found = estimate(state(), route((1, 45)), None, missing=3, now_ms=AT_MS + 46 * MINUTE)
    assert minutes_of(found, "arrive_at") == 105
    assert found is not None
    assert (found["missing_samples"], found["last_heard_at"]) == (3, None)


def test_the_truck_s_position_and_the_stops_before_say_more() -> None:
    """From 52.50 north over three stops 0.01° (1.1 km) apart, five minutes at each of the first two."""
    found = estimate(state(), route(), heard(10), missing=0, now_ms=AT_MS + 10 * MINUTE)
    assert found is not None
    assert found["basis"] == "plan and position"
    assert 10 + 10 + 4 < minutes_of(found, "arrive_at") < 10 + 10 + 7
    assert found["last_heard_at"] == heard(10)["sampled_at"]


def test_a_truck_that_is_silent_is_no_position_and_less_sure() -> None:
    soon = estimate(state(), route((1, 30)), heard(31), missing=0, now_ms=AT_MS + 41 * MINUTE)
    silent = estimate(state(), route((1, 30)), heard(31), missing=0, now_ms=AT_MS + 42 * MINUTE)
    assert soon is not None
    assert silent is not None
    assert (soon["basis"], silent["basis"]) == ("plan and position", "plan")
    assert minutes_of(silent, "arrive_at") == 90
    assert minutes_of(silent, "latest") >= 90 + 5 + 11
    assert minutes_of(silent, "earliest") >= 42


def test_without_a_plan_the_way_to_the_door_is_the_least() -> None:
    found = estimate(state(), None, heard(0), missing=0, now_ms=AT_MS)
    assert found is not None
    assert (found["basis"], found["stops_before"]) == ("position", None)
    assert 5 < minutes_of(found, "arrive_at") < 6
    assert found["earliest"] == found["arrive_at"]


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert estimate(state("placed"), None, heard(0), missing=0, now_ms=AT_MS) is None
    assert estimate(state(), None, None, missing=None, now_ms=AT_MS) is None
    assert estimate(state("delivered"), route((3, 5)), heard(5), missing=0, now_ms=AT_MS) is None


def test_an_estimate_is_never_in_the_past() -> None:
    found = estimate(state(), route(), None, missing=0, now_ms=AT_MS + 300 * MINUTE)
    assert minutes_of(found, "arrive_at") == 300
