"""What thinning spares."""

from agent.sampling.event_detection import BANDS, EXACT, Events
from collector.history.tracking_policy import DEFAULT_TRACK


def test_events_are_what_the_collector_tracks_by_default() -> None:
    """So a thinned backlog opens the same versions of history."""
    exact = {field for field, rule in DEFAULT_TRACK.items() if rule == "exact"}
    bands = {field: tuple(rule["bands"]) for field, rule in DEFAULT_TRACK.items() if rule != "exact"}
    assert (set(EXACT), BANDS) == (exact, bands)


def test_a_change_is_an_event_and_sameness_is_none() -> None:
    events = Events()
    health = {"brake_status": "ok", "active_faults": []}
    one = {"vehicle_health_and_maintenance": health, "engine_diagnostics": {"battery_voltage": 24.0}, "quality": {}}
    assert [events.is_event(one), events.is_event(one)] == [True, False]
    assert not events.is_event({**one, "engine_diagnostics": {"battery_voltage": 25.0}})
    assert events.is_event({**one, "engine_diagnostics": {"battery_voltage": 23.0}})
    assert events.is_event(
        {**one, "vehicle_health_and_maintenance": {**health, "active_faults": [{"spn": 980, "fmi": 9}]}}
    )
    assert events.is_event({**one, "quality": {"gps_location": "not_available"}})
