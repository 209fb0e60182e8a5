"""What happens between two samples, against the full rate of real drives, decoded here a second time by hand."""

import gzip
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump
from agent.sensors.j1939.decoder import Decoder
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.since_last import CODES_AT_MOST, GPS_SPEED, MANOEUVRES_AT_MOST, SPEED, Interval, Since

RPM = "engine_diagnostics.engine_rpm"
EVERY = 60.0

Readings = dict[str, list[tuple[float, float]]]


def _frames(path: Path) -> Iterator[tuple[float, Frame]]:
    with gzip.open(path, "rt") as file:
        stamps = iter(Candump(file))
        first, frame = next(stamps)
        yield 0.0, frame
        for at, frame in stamps:
            yield at - first, frame


def _truck(frame: Frame) -> Iterator[tuple[str, float]]:
    """The engine's own frames, as SAE J1939-71 has them."""
    if not frame.extended or frame.source:
        return
    data = frame.data
    if frame.pgn == 61444 and data[4] < 0xFB:
        yield RPM, int.from_bytes(data[3:5], "little") / 8
    if frame.pgn == 65265 and data[2] < 0xFB:
        yield SPEED, int.from_bytes(data[1:3], "little") / 256
    if frame.pgn == 65266 and data[1] < 0xFB:
        yield "fuel_consumption", int.from_bytes(data[0:2], "little") / 20


def _car(frame: Frame) -> Iterator[tuple[str, float]]:
    """Mode 01 answers in single frames, as SAE J1979 has them."""
    if frame.extended or frame.can_id != 0x7E8 or frame.data[1:2] != b"\x41":
        return
    if frame.data[2] == 0x0C:
        yield RPM, int.from_bytes(frame.data[3:5], "big") / 4
    if frame.data[2] == 0x0D:
        yield SPEED, float(frame.data[3])


def _integral(readings: list[tuple[float, float]], begin: float, end: float) -> float:
    """Of a value that moves straight from reading to reading, in seconds times its unit."""
    total = 0.0
    for (a, x), (b, y) in pairwise([*readings, (end, readings[-1][1])]):
        lo, hi = max(a, begin), min(b, end)
        if lo < hi:
            total += (hi - lo) * (x + (y - x) * ((lo + hi) / 2 - a) / (b - a))
    return total


def _windows(
    path: Path, decoder: Decoder | Obd2Decoder, by_hand: Callable[[Frame], Iterator[tuple[str, float]]]
) -> tuple[list[tuple[float, Interval]], Readings]:
    """The account of every minute, with its end, and all that was there to be heard."""
    found: list[tuple[float, Interval]] = []
    readings: Readings = {}
    due, at = EVERY, 0.0
    for at, frame in _frames(path):
        while at > due:
            if interval := decoder.since.end_interval(due):
                found.append((due, interval))
            due += EVERY
        decoder.feed(at, frame)
        for leaf, value in by_hand(frame):
            readings.setdefault(leaf, []).append((at, value))
    if interval := decoder.since.end_interval(at):
        found.append((at, interval))
    return found, readings


@pytest.fixture(
    params=[
        ("j1939/css_truck_idle_11111111.log.gz", Decoder, _truck),
        ("j1939/css_24v_keyon_FCBF0606_2058.log.gz", Decoder, _truck),
        ("obd2/css_car_3BA199E2_0164_part1.log.gz", Obd2Decoder, _car),
        ("obd2/css_car_3BA199E2_0164_part2.log.gz", Obd2Decoder, _car),
        ("obd2/css_car_3BA199E2_0164_part3.log.gz", Obd2Decoder, _car),
    ],
    ids=lambda drive: Path(drive[0]).name.partition(".")[0],
    scope="module",
)
def drive(request: pytest.FixtureRequest) -> tuple[list[tuple[float, Interval]], Readings]:
    name, decoder, by_hand = request.param
    return _windows(Path(__file__).parents[2] / "recordings" / name, decoder(), by_hand)


Drive = tuple[list[tuple[float, Interval]], Readings]


def test_extremes_are_exactly_those_of_the_full_rate(drive: Drive) -> None:
    windows, readings = drive
    compared = 0
    for leaf in (RPM, SPEED):
        begin = -1.0
        for end, interval in windows:
            values = [
                round(value, 3 if leaf == RPM else 2) for at, value in readings.get(leaf, ()) if begin < at <= end
            ]
            begin = end
            if len(values) >= 2:
                spread = interval.spreads[leaf]
                assert (spread.low, spread.high) == (min(values), max(values))
                compared += 1
    assert compared >= 2


def test_distance_and_means_are_within_two_percent_of_the_full_rate(drive: Drive) -> None:
    windows, readings = drive
    begin = 0.0
    for end, interval in windows:
        for leaf, heard in readings.items():
            seen = [at for at, _ in heard if begin < at <= end]
            if len(seen) < 10 or leaf not in interval.spreads:
                continue
            truth = _integral(heard, max(begin, heard[0][0]), end)
            mean = interval.spreads[leaf].mean
            assert mean == pytest.approx(truth / (end - max(begin, heard[0][0])), rel=0.02, abs=0.01)
        begin = end
    if SPEED in readings:
        total = sum(interval.driven[SPEED].kilometres for _, interval in windows if SPEED in interval.driven)
        truth = _integral(readings[SPEED], readings[SPEED][0][0], windows[-1][0]) / 3600
        assert total == pytest.approx(truth, rel=0.02, abs=1e-6)
    if "fuel_consumption" in readings:
        burnt = sum(interval.litres or 0.0 for _, interval in windows)
        rate = readings["fuel_consumption"]
        assert burnt == pytest.approx(_integral(rate, rate[0][0], windows[-1][0]) / 3600, rel=0.02)


def test_moving_and_idle_time_are_those_of_the_full_rate(drive: Drive) -> None:
    windows, readings = drive
    if SPEED not in readings or RPM not in readings:
        pytest.skip("this recording has no speed")
    moving = idle = 0.0
    for (at, kmh), (until, _) in pairwise([*readings[SPEED], (windows[-1][0], 0.0)]):
        if kmh >= 5:
            moving += until - at
        elif any(rpm > 0 for heard, rpm in readings[RPM] if at - 2 < heard <= until):
            idle += until - at
    told = [interval.driven[SPEED] for _, interval in windows if SPEED in interval.driven]
    assert sum(one.moving for one in told) == pytest.approx(moving, rel=0.02, abs=1)
    assert sum(one.idle or 0.0 for one in told) == pytest.approx(idle, rel=0.02, abs=2)


def test_a_hard_braking_is_told_with_its_peak_and_when() -> None:
    """From 60 km/h at 6 m/s² for a second and a half, ten readings a second; the gentle ones around it are nothing."""
    since, kmh = Since(), 60.0
    for tick in range(100):
        at = tick / 10
        kmh -= 2.16 if 4.0 <= at < 5.5 else 0.2
        since.value(at, SPEED, max(0.0, kmh))
    interval = since.end_interval(10.0)
    assert interval
    assert [each.kind for each in interval.manoeuvres] == ["braking"]
    assert interval.manoeuvres[0].peak == pytest.approx(6.0, abs=0.3)
    assert 10.0 - interval.manoeuvres[0].ago == pytest.approx(4.75, abs=0.8)
    assert since.end_interval(20.0) is None or not since.end_interval(20.0)


def test_a_speed_that_leaps_is_no_manoeuvre() -> None:
    since = Since()
    for tick in range(60):
        since.value(tick / 10, SPEED, 80.0 if tick % 20 == 10 else 0.0)
    interval = since.end_interval(6.0)
    assert interval
    assert not interval.manoeuvres


def test_a_fast_bend_is_cornering() -> None:
    """20 degrees a second at 50 km/h are 4.85 m/s²; the straight road after it ends the manoeuvre."""
    since = Since()
    for second in range(12):
        since.value(float(second), GPS_SPEED, 50.0)
        since.course(float(second), (350 + 20.0 * min(second, 6)) % 360, 50.0)
    interval = since.end_interval(12.0)
    assert interval
    assert [each.kind for each in interval.manoeuvres] == ["cornering"]
    assert interval.manoeuvres[0].peak == pytest.approx(4.85, abs=0.01)


def test_the_better_source_alone_counts() -> None:
    since = Since()
    since.value(0.0, RPM, 9_000.0, rank=(0, 39))
    since.value(0.1, RPM, 600.0, rank=(0, 0))
    since.value(0.2, RPM, 9_000.0, rank=(0, 39))
    since.value(0.3, RPM, 700.0, rank=(0, 0))
    interval = since.end_interval(1.0)
    assert interval
    assert interval.spreads[RPM][:2] == (600.0, 700.0)


def test_what_nobody_observed_is_in_no_integral() -> None:
    """An hour of silence between two readings of 80 km/h counts for the five seconds that a value holds."""
    since = Since()
    since.value(0.0, SPEED, 80.0)
    since.value(3600.0, SPEED, 80.0)
    interval = since.end_interval(3601.0)
    assert interval
    assert interval.driven[SPEED].kilometres == pytest.approx(80 * 6 / 3600)
    assert interval.seconds == pytest.approx(6)


def test_a_trouble_code_that_came_and_went_is_told_with_first_and_last() -> None:
    since = Since()
    for at in (10.0, 11.0, 12.0):
        since.code(at, (97, 3, 0))
    since.value(12.0, RPM, 600.0)
    interval = since.end_interval(60.0)
    assert interval
    assert interval.codes == {(97, 3, 0): (50.0, 48.0)}
    after = since.end_interval(120.0)
    assert after is None or not after.codes


events = st.one_of(
    st.tuples(st.just("value"), st.sampled_from([SPEED, GPS_SPEED, RPM]), st.floats(0, 200), st.integers(0, 2)),
    st.tuples(st.just("code"), st.integers(0, 50), st.integers(0, 31), st.integers(0, 3)),
    st.tuples(st.just("course"), st.floats(0, 360), st.floats(0, 150), st.just(0)),
)


@given(st.lists(st.tuples(st.floats(0, 30), events), max_size=120))
def test_whatever_comes_the_account_is_bounded_and_true(
    story: list[tuple[float, tuple[str, float, float, int]]],
) -> None:
    since, now = Since(), 0.0
    for after, (what, first, second, third) in story:
        now += after
        if what == "value":
            since.value(now, str(first), second, rank=(0, third))
        elif what == "code":
            since.code(now, (int(first), int(second), third))
        else:
            since.course(now, first, second)
    interval = since.end_interval(now)
    if interval is None:
        return
    assert 0 <= interval.seconds <= now + 1e-6
    assert len(interval.manoeuvres) <= MANOEUVRES_AT_MOST
    assert len(interval.codes) <= CODES_AT_MOST
    for spread in interval.spreads.values():
        assert spread.low <= spread.high
        assert spread.mean is None or spread.low - 200 <= spread.mean <= 200
    for driven in interval.driven.values():
        assert driven.moving + (driven.idle or 0) <= now + 1e-6
        assert 0 <= driven.kilometres <= 200 * now / 3600 + 1e-6


def test_a_mean_lies_between_the_extremes_whatever_held_before() -> None:
    since = Since()
    since.value(0.0, SPEED, 240.0)
    since.end_interval(1.0)
    for at, value in ((4.0, 160.0), (5.0, 170.0), (6.0, 160.0)):
        since.value(at, SPEED, value)
    interval = since.end_interval(7.0)
    assert interval
    low, high, mean = interval.spreads[SPEED]
    assert (low, high) == (160, 170)
    assert mean == pytest.approx((165 + 165 + 160) / 3)
    assert interval.driven[SPEED].kilometres == pytest.approx((3 * 200 + 2 * 165 + 160) / 3600)


def test_no_truck_moves_for_longer_than_it_was_observed() -> None:
    """A speed that is due each five seconds holds for longer than most values do."""
    since = Since()
    since.value(0.0, GPS_SPEED, 50.0, limit=25.0)
    since.value(1.0, "engine_diagnostics.oil_pressure", 30.0)
    interval = since.end_interval(60.0)
    assert interval
    assert interval.driven[GPS_SPEED].moving == interval.seconds == 25.0
