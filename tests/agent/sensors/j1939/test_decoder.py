"""One bus: newest value, staleness, source preference, faults of several control units."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors import Reading
from agent.sensors.can_frame import Frame
from agent.sensors.fields import ACTIVE_FAULTS, LAMPS, TIRES, is_custom
from agent.sensors.j1939.decoder import MAX_TYRES, Decoder
from agent.sensors.j1939.signals import PGNS, SIGNALS, TOTALS
from agent.sensors.odometer import OdometerBelief, Rank

RPM = "engine_diagnostics.engine_rpm"
VOLTS = "engine_diagnostics.battery_voltage"


def frame(pgn: int, data: str, source: int = 0) -> Frame:
    return Frame(0x18000000 | pgn << 8 | source, bytes.fromhex(data))


def engine_speed(rpm: int, source: int = 0) -> Frame:
    return frame(61444, "FFFFFF" + (rpm * 8).to_bytes(2, "little").hex() + "FFFFFF", source)


def decoder(*frames: Frame) -> Decoder:
    one = Decoder()
    for each in frames:
        one.feed(0.0, each)
    return one


def test_before_any_frame_everything_is_not_available() -> None:
    values, quality = Decoder().snapshot(0.0)
    assert values == {}
    assert set(quality.values()) == {"not_available"}


def test_the_newest_value_of_a_source_stands() -> None:
    assert decoder(engine_speed(600), engine_speed(700)).snapshot(0.0)[0][RPM] == 700


def test_a_signal_silent_beyond_its_limit_is_stale() -> None:
    values, quality = decoder(engine_speed(600)).snapshot(5.01)
    assert RPM not in values
    assert quality[RPM] == "stale"


def test_a_signal_within_its_limit_is_not_stale() -> None:
    assert decoder(engine_speed(600)).snapshot(5.0)[0][RPM] == 600


def test_a_slow_signal_may_be_silent_for_five_periods() -> None:
    one = decoder(frame(65268, "0064FFFFFFFFFFFF"))
    assert f"{TIRES}.front_left" in one.snapshot(49.9)[0]
    assert one.snapshot(50.1)[1][f"{TIRES}.front_left"] == "stale"


def test_a_value_that_turns_not_available_is_not_kept() -> None:
    values, quality = decoder(engine_speed(600), frame(61444, "FF" * 8)).snapshot(0.0)
    assert RPM not in values
    assert quality[RPM] == "not_available"


def test_the_engine_is_preferred_to_other_sources() -> None:
    assert decoder(engine_speed(700, source=39), engine_speed(600, source=0)).snapshot(0.0)[0][RPM] == 600


def test_without_the_engine_the_lowest_source_is_preferred() -> None:
    assert decoder(engine_speed(700, source=39), engine_speed(600, source=3)).snapshot(0.0)[0][RPM] == 600


def test_a_source_without_a_value_does_not_hide_one_that_has_it() -> None:
    assert decoder(frame(61444, "FE" * 8), engine_speed(700, source=39)).snapshot(0.0)[0][RPM] == 700


def test_a_stale_engine_does_not_hide_another_source() -> None:
    one = decoder(engine_speed(600))
    one.feed(10.0, engine_speed(700, source=39))
    assert one.snapshot(10.0)[0][RPM] == 700


def test_the_high_resolution_odometer_is_preferred() -> None:
    one = decoder(frame(65248, "FFFFFFFF47B00100"), frame(65217, "B0362A00FFFFFFFF", source=49))
    assert one.snapshot(0.0)[0]["odometer_reading"] == pytest.approx(2766512 * 0.005)


def test_battery_potential_is_preferred_to_the_key_switch() -> None:
    assert decoder(frame(65271, "FFFFFFFF09011801")).snapshot(0.0)[0][VOLTS] == 13.25


def test_the_key_switch_stands_in_for_the_battery() -> None:
    assert decoder(frame(65271, "FFFFFFFFFFFF0901")).snapshot(0.0)[0][VOLTS] == 13.25


def test_an_11_bit_frame_is_ignored() -> None:
    one = decoder(engine_speed(600)._replace(extended=False))
    assert one.snapshot(0.0)[0] == {}


def test_four_tyres_reach_their_corners() -> None:
    tyres = [
        frame(65268, f"{location:02X}{raw:02X}FFFFFFFFFFFF")
        for location, raw in zip((0x00, 0x01, 0x10, 0x11, 0x12, 0x13), (200, 201, 210, 1, 2, 213), strict=True)
    ]
    values, _ = decoder(*tyres).snapshot(0.0)
    assert [values[f"{TIRES}.{corner}"] for corner in ("front_left", "front_right", "rear_left", "rear_right")] == [
        116.03,
        116.61,
        121.83,
        123.57,
    ]


def test_a_tyre_of_unknown_place_is_nowhere() -> None:
    assert decoder(frame(65268, "FF64FFFFFFFFFFFF")).snapshot(0.0)[0] == {}


def test_no_fault_is_a_measured_empty_list() -> None:
    assert decoder(frame(65226, "FFFF00000000FFFF")).snapshot(0.0)[0][ACTIVE_FAULTS] == []


def test_faults_of_all_sources_stand_together_with_their_source() -> None:
    one = decoder(frame(65226, "00FFD403097EFFFF", source=11), frame(65226, "00FF900C1402FFFF"))
    assert one.snapshot(0.0)[0][ACTIVE_FAULTS] == [
        {"spn": 3216, "fmi": 20, "count": 2, "source": 0},
        {"spn": 980, "fmi": 9, "count": 126, "source": 11},
    ]


def test_a_healed_fault_disappears() -> None:
    one = decoder(frame(65226, "00FFD403097EFFFF"), frame(65226, "00FF00000000FFFF"))
    assert one.snapshot(0.0)[0][ACTIVE_FAULTS] == []


def test_faults_long_unheard_are_stale() -> None:
    values, quality = decoder(frame(65226, "00FFD403097EFFFF")).snapshot(31.0)
    assert ACTIVE_FAULTS not in values
    assert quality[ACTIVE_FAULTS] == "stale"


def test_a_dm1_cut_off_is_an_error() -> None:
    assert decoder(frame(65226, "00FF")).snapshot(0.0)[1][ACTIVE_FAULTS] == "error"


def test_the_callers_copy_is_its_own() -> None:
    one = decoder(frame(65226, "00FFD403097EFFFF"))
    faults = one.snapshot(0.0)[0][ACTIVE_FAULTS]
    assert isinstance(faults, list)
    faults.clear()
    assert one.snapshot(0.0)[0][ACTIVE_FAULTS] != []


OUR_FRAMES = st.builds(
    lambda pgn, source, data: Frame(0x18000000 | pgn << 8 | source, data),
    st.sampled_from([*sorted(PGNS), 65226, 60416, 60160]),
    st.integers(0, 255),
    st.binary(max_size=8),
)
ANY_FRAMES = st.builds(Frame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.booleans())
LEAVES = (
    {signal.leaf for signal in SIGNALS}
    | {ACTIVE_FAULTS}
    | {f"{TIRES}.{corner}" for corner in ("front_left", "front_right", "rear_left", "rear_right")}
)
BEYOND = {signal.leaf for signal in TOTALS} | set(LAMPS)


@given(st.lists(st.tuples(st.floats(0, 60), OUR_FRAMES | ANY_FRAMES), max_size=40))
def test_whatever_is_heard_each_leaf_has_a_value_or_a_reason(heard: list[tuple[float, Frame]]) -> None:
    one = Decoder()
    for now, each in heard:
        one.feed(now, each)
    values, quality = one.snapshot(60.0)
    Reading(values, quality)
    assert {leaf for leaf in (*values, *quality) if not is_custom(leaf)} == LEAVES
    assert {leaf for leaf in values if is_custom(leaf)} <= BEYOND
    assert not any(is_custom(leaf) for leaf in quality), "what is not known beyond the wire is left out"
    assert not set(values) & set(quality)


def odometer(km: int, source: int = 0) -> Frame:
    return frame(65248, "FFFFFFFF" + (km * 8).to_bytes(4, "little").hex(), source)


def odometers(*reads: tuple[float, int]) -> list[object]:
    """What one read a minute says: the value, or why not."""
    one, said = Decoder(), []
    for now, km in reads:
        one.feed(now, odometer(km))
        values, quality = one.snapshot(now)
        said.append(values.get("odometer_reading", quality.get("odometer_reading")))
    return said


def test_an_odometer_that_leaps_is_not_believed() -> None:
    assert odometers((0, 1000), (60, 1001), (120, 520_000), (180, 1003)) == [1000, 1001, "implausible", 1003]


def test_an_odometer_that_falls_is_not_believed() -> None:
    assert odometers((0, 1000), (60, 999), (120, 1002)) == [1000, "implausible", 1002]


def test_a_new_instrument_cluster_is_believed_after_a_while() -> None:
    known = [(float(at), 1000) for at in (0, 60, 120)]
    said = odometers(*known, (180, 5), (240, 6), (300, 7), (360, 8))
    assert said == [1000, 1000, 1000, "implausible", "implausible", 7, 8]


def test_what_a_unit_says_while_it_starts_is_given_up_at_its_second_other_word() -> None:
    """37.5 km first, and then the truth."""
    assert odometers((0, 37), (60, 158_910), (120, 158_911)) == [37, "implausible", 158_911]


def units(*heard: tuple[float, dict[int, int]], one: Decoder | None = None) -> list[object]:
    """What one read a minute says where source → km are heard before it."""
    one, said = one or Decoder(), []
    for now, sources in heard:
        for source, km in sources.items():
            one.feed(now, odometer(km, source))
        values, quality = one.snapshot(now)
        said.append(values.get("odometer_reading", quality.get("odometer_reading")))
    return said


ENGINE, CLUSTER, TACHOGRAPH = 0, 23, 238


def test_the_odometer_of_the_dashboard_replaces_that_of_an_engine_which_spoke_first() -> None:
    """From its second word on; 537,152 km are the engine's own life."""
    engine, cluster = {ENGINE: 537_152}, {ENGINE: 537_152, CLUSTER: 438_978}
    assert units((0, engine), (60, engine), (120, cluster), (180, cluster)) == [537_152, 537_152, 537_152, 438_978]


def test_the_tachograph_goes_before_the_instrument_cluster_and_both_before_the_engine() -> None:
    both = {ENGINE: 1, CLUSTER: 2_000, TACHOGRAPH: 3_000}
    assert units((0, both)) == [3_000]
    assert units((0, {ENGINE: 1, CLUSTER: 2_000})) == [2_000]


def test_a_lesser_odometer_stands_in_only_where_it_goes_on_from_the_better_one() -> None:
    start = [(float(at), {ENGINE: 537_152, CLUSTER: 438_978}) for at in (0, 60)]
    assert units(*start, (120, {ENGINE: 537_153})) == [438_978, 438_978, "implausible"]
    start = [(float(at), {ENGINE: 438_978, CLUSTER: 438_978}) for at in (0, 60)]
    assert units(*start, (120, {ENGINE: 438_979})) == [438_978, 438_978, 438_979]


def test_the_better_odometer_goes_on_where_it_was_after_another_stood_in() -> None:
    both = {ENGINE: 1_000, CLUSTER: 1_000}
    heard = [(0.0, both), (60.0, {ENGINE: 1_001}), (120.0, {ENGINE: 1_002, CLUSTER: 1_001})]
    assert units(*heard) == [1_000, 1_001, 1_001]


def test_a_dashboard_that_is_gone_for_an_hour_is_not_waited_for_any_more() -> None:
    heard = [(0.0, {ENGINE: 537_152, CLUSTER: 438_978})]
    heard += [(60.0 * minute, {ENGINE: 537_152}) for minute in range(1, 63)]
    said = units(*heard)
    assert said[1:60] == ["implausible"] * 59
    assert said[-1] == 537_152


def test_what_was_believed_of_the_odometer_survives_a_restart() -> None:
    """The engine speaks first after the ignition, and is not believed; the cluster goes on as before."""
    before = Decoder()
    units((0, {CLUSTER: 438_978}), one=before)
    memory = before.odometer.memory(0.0)
    assert memory
    after = Decoder()
    after.odometer.recall(0.0, json.loads(json.dumps(memory)), 3600.0)
    assert units((5, {ENGINE: 537_152}), (65, {ENGINE: 537_152, CLUSTER: 438_990}), one=after) == [
        "implausible",
        438_990,
    ]


def test_a_memory_that_cannot_be_understood_is_no_memory() -> None:
    for memory in ({}, {"rank": [1], "value": 2}, {"rank": "x", "value": None}, {"rank": [0, 0, 0], "value": "9"}):
        one = Decoder()
        one.odometer.recall(0.0, memory, 1.0)
        assert units((5, {ENGINE: 7}), one=one) == [7]


@given(st.lists(st.lists(st.integers(0, 3), unique=True, max_size=4), min_size=2, max_size=30))
def test_honest_odometers_that_differ_never_make_the_value_fall_or_leap(heard: list[list[int]]) -> None:
    """Four units 100,000 km apart that come and go for minutes: from the first sight of the best on, only that one."""
    belief = OdometerBelief()
    best = min((unit for units in heard for unit in units), default=0)
    seen = 0
    for minute, speaking in enumerate(heard):
        said = belief.choose(minute * 60.0, [(Rank(unit, 0, unit), unit * 100_000.0 + minute) for unit in speaking])
        assert said is None or said in {unit * 100_000.0 + minute for unit in speaking}
        if seen >= 2:
            assert said in (None, best * 100_000.0 + minute)
        seen += best in speaking


def test_another_unit_stands_in_for_one_whose_odometer_leaps() -> None:
    one = decoder(odometer(1000), odometer(1000, source=49))
    one.snapshot(0.0)
    one.feed(60.0, odometer(520_000))
    one.feed(60.0, odometer(1001, source=49))
    assert one.snapshot(60.0)[0]["odometer_reading"] == 1001


def test_a_refuelled_tank_is_believed_at_once() -> None:
    one = decoder(frame(65276, "FF1AFFFFFFFFFFFF"))
    one.snapshot(0.0)
    one.feed(60.0, frame(65276, "FFFAFFFFFFFFFFFF"))
    assert one.snapshot(60.0)[0]["engine_diagnostics.fuel_level"] == 100


def test_units_that_contradict_each_other_are_counted() -> None:
    one = decoder(engine_speed(600), engine_speed(1600, source=39))
    for _ in range(3):
        one.snapshot(0.0)
    assert dict(one.disagreements) == {(RPM, 0, 39): 3}


def test_a_supply_of_3000_volts_is_implausible() -> None:
    """In range for the bus (3,212 V), not for a truck."""
    assert decoder(frame(65271, "FFFFFFFF60EA60EA")).snapshot(0.0)[1][VOLTS] == "implausible"


def test_a_babbling_bus_costs_little_memory() -> None:
    """Every place and source of tyres, every source of everything: what is held stays bounded."""
    one = Decoder()
    for place in range(255):
        for source in range(256):
            one.feed(place, frame(65268, f"{place:02X}64FFFFFFFFFFFF", source))
    for pgn in (*PGNS, 65226):
        for source in range(256):
            one.feed(300.0, frame(pgn, "00" * 8, source))
    assert len(one._tyres) <= MAX_TYRES
    assert sum(map(len, one._heard.values())) <= 256 * (len(PGNS) + 1)
    values, quality = one.snapshot(300.0)
    assert values or quality
