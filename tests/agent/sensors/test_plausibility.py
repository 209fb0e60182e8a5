"""What leaps is not believed, what stays is; sources that contradict each other are named."""

from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.plausibility import (
    PERSISTENT,
    Belief,
    Disagreement,
    Heard,
    disagreements,
    odometer_follows,
    position_follows,
)

RPM = "engine_diagnostics.engine_rpm"


def odometer(*reads: tuple[float, float]) -> list[float | None]:
    """What is believed at each read of one source: (seconds, km)."""
    belief = Belief(odometer_follows)
    return [belief.choose(now, [km]) for now, km in reads]


def test_the_first_value_is_believed() -> None:
    assert odometer((0, 500_000)) == [500_000]


def test_a_mile_a_minute_is_believed() -> None:
    reads = [(60 * n, 1000 + 1.6 * n) for n in range(20)]
    assert odometer(*reads) == [km for _, km in reads]


def test_an_odometer_never_falls() -> None:
    assert odometer((0, 1000), (60, 999.9)) == [1000, None]


def test_an_odometer_rises_no_faster_than_a_vehicle_drives() -> None:
    assert odometer((0, 1000), (60, 1004)) == [1000, 1004]
    assert odometer((0, 1000), (60, 1005)) == [1000, None]


def test_a_long_silence_allows_a_long_way() -> None:
    assert odometer((0, 1000), (3600, 1150)) == [1000, 1150]


def test_one_leap_costs_one_value() -> None:
    assert odometer((0, 1000), (60, 999_999), (120, 1002)) == [1000, None, 1002]


def test_a_leap_that_stays_is_the_truth_after_three_reads_and_a_minute() -> None:
    assert odometer((0, 1000), (60, 7), (120, 8), (180, 9), (240, 10)) == [1000, None, None, 9, 10]


def test_quick_reads_do_not_shorten_the_minute() -> None:
    believed = odometer((0, 1000), *((1 + n, 7.0) for n in range(100)))
    assert believed.index(7.0) == 1 + PERSISTENT


def test_leaps_to_different_values_never_persist() -> None:
    assert odometer((0, 1000), *((60.0 * n, (n % 2 + 1) * 10.0) for n in range(1, 30)))[1:] == [None] * 29


def test_asking_twice_at_one_moment_changes_nothing() -> None:
    belief = Belief(odometer_follows)
    belief.choose(0, [1000])
    assert [belief.choose(60 + 30 * (n // 50), [7.0]) for n in range(100)] == [None] * 100


def test_a_second_source_that_goes_on_stands_in_for_one_that_leaps() -> None:
    belief = Belief(odometer_follows)
    assert [belief.choose(0, [1000, 1000.5]), belief.choose(60, [50, 1001.5])] == [1000, 1001.5]


def test_the_preferred_source_is_believed_again_once_its_value_stays() -> None:
    belief = Belief(odometer_follows)
    believed = [belief.choose(60 * n, [50 + n if n else 1000, 1000 + n]) for n in range(5)]
    assert believed == [1000, 1001, 1002, 53, 54]


def test_nothing_heard_is_nothing_believed() -> None:
    assert Belief(odometer_follows).choose(0, []) is None


def test_a_position_moves_as_vehicles_do() -> None:
    assert position_follows(60, (52.0, 5.0), (52.01, 5.0))
    assert not position_follows(60, (52.0, 5.0), (52.1, 5.0))


def test_the_date_line_is_no_leap() -> None:
    assert position_follows(60, (0.0, 179.999), (0.0, -179.999))


KM = st.floats(0, 1e7, allow_nan=False)


@given(st.lists(st.tuples(st.floats(0, 300), st.lists(KM, max_size=3)), max_size=40))
def test_what_is_believed_was_said_by_some_source(reads: list[tuple[float, list[float]]]) -> None:
    belief, now = Belief(odometer_follows), 0.0
    for step, said in reads:
        now += step
        believed = belief.choose(now, said)
        assert believed is None or believed in said


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 2)), max_size=40))
def test_an_honest_odometer_is_always_believed(steps: list[tuple[float, float]]) -> None:
    belief, now, km = Belief(odometer_follows), 0.0, 1000.0
    for seconds, moved in steps:
        now, km = now + seconds, km + min(moved, seconds / 20)
        assert belief.choose(now, [km]) == km


def test_two_units_that_contradict_each_other_are_named() -> None:
    heard = [Heard(0, 0.0, 0.1, 600.0), Heard(3, 0.05, 0.1, 900.0)]
    assert list(disagreements(RPM, heard)) == [Disagreement(RPM, 0, 3)]


def test_small_differences_are_no_contradiction() -> None:
    assert not disagreements(RPM, [Heard(0, 0.0, 0.1, 600.0), Heard(3, 0.05, 0.1, 610.0)])


def test_values_of_different_moments_are_not_compared() -> None:
    assert not disagreements(RPM, [Heard(0, 0.0, 0.1, 600.0), Heard(3, 3.0, 0.1, 900.0)])


def test_a_unit_does_not_contradict_itself() -> None:
    assert not disagreements(RPM, [Heard(0, 0.0, 0.1, 600.0), Heard(0, 0.0, 0.1, 900.0)])
