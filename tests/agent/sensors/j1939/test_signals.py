"""The table of parameters: ranges, reserved codes, and which tyre is which corner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.fields import MEASURES
from agent.sensors.j1939.signals import CORNERS, SIGNALS, TIRE_PRESSURE, Signal, corners

EACH = pytest.mark.parametrize("signal", [*SIGNALS, TIRE_PRESSURE], ids=lambda signal: f"SPN {signal.spn}")


def payload(signal: Signal, raw: int) -> bytes:
    return bytes(signal.start - 1) + raw.to_bytes(signal.bits // 8, "little")


def by_spn(spn: int) -> Signal:
    return next(signal for signal in (*SIGNALS, TIRE_PRESSURE) if signal.spn == spn)


@EACH
def test_each_parameter_fits_into_eight_bytes(signal: Signal) -> None:
    assert signal.bits in (8, 16, 32)
    assert signal.start - 1 + signal.bits // 8 <= 8


@EACH
def test_all_ones_is_not_available(signal: Signal) -> None:
    assert signal.decode(b"\xff" * 8, signal.leaf or CORNERS[0]) == "not_available"


@EACH
def test_0xfe_is_an_error(signal: Signal) -> None:
    assert signal.decode(b"\xfe" * 8, signal.leaf or CORNERS[0]) == "error"


@EACH
@pytest.mark.parametrize("code", [0xFB, 0xFC, 0xFD])
def test_reserved_codes_are_no_values(signal: Signal, code: int) -> None:
    assert signal.decode(bytes([code]) * 8, signal.leaf or CORNERS[0]) == "implausible"


@EACH
def test_a_frame_that_is_too_short_has_no_value(signal: Signal) -> None:
    assert signal.decode(bytes(signal.start - 1), signal.leaf or CORNERS[0]) == "not_available"


@EACH
@given(data=st.binary(max_size=9))
def test_any_bytes_give_a_possible_value_or_a_reason(signal: Signal, data: bytes) -> None:
    leaf = signal.leaf or CORNERS[0]
    outcome = signal.decode(data, leaf)
    if isinstance(outcome, str):
        assert outcome in ("not_available", "error", "implausible")
    else:
        assert MEASURES[leaf].low <= outcome <= MEASURES[leaf].high


@pytest.mark.parametrize(
    ("spn", "raw", "value"),
    [
        (190, 0x1448, 649.0),
        (84, 0x4B1A, 75.1),
        (96, 187, 74.8),
        (110, 0x6F, 71.0),
        (100, 62, 35.97),
        (168, 0x0109, 13.25),
        (158, 0x01BF, 22.35),
        (917, 2_766_575, 13832.875),
        (245, 110_663, 13832.875),
        (183, 53, 2.65),
        (171, 0x23C9, 13.28),
        (108, 197, 985.0),
        (584, 2_512_578_700, 41.25787),
        (585, 1_140_145_300, -95.98547),
        (517, 0x4B1A, 75.1),
        (580, 22_776, 347.0),
        (241, 200, 116.03),
    ],
)
def test_known_numbers_decode_to_wire_units(spn: int, raw: int, value: float) -> None:
    signal = by_spn(spn)
    assert signal.decode(payload(signal, raw), signal.leaf or CORNERS[0]) == value


def test_a_latitude_beyond_the_pole_is_implausible() -> None:
    latitude = by_spn(584)
    assert latitude.decode(payload(latitude, 3_010_000_000)) == "implausible"


@pytest.mark.parametrize(
    ("locations", "expected"),
    [
        ({0x00, 0x01, 0x10, 0x11}, (0x00, 0x01, 0x10, 0x11)),
        ({0x00, 0x01, 0x10, 0x11, 0x12, 0x13}, (0x00, 0x01, 0x10, 0x13)),
        ({0x01, 0x02, 0x11, 0x12}, (0x01, 0x02, 0x11, 0x12)),
        ({0x00, 0x01, 0x20, 0x23, 0x30, 0x33}, (0x00, 0x01, 0x20, 0x23)),
        ({0x10, 0x11, 0x13}, (None, None, 0x10, 0x13)),
        ({0x12, 0x13}, (None, None, None, 0x13)),
        ({0x00}, (0x00, None, None, None)),
        ({0x01}, (None, None, None, None)),
        (set(), (None, None, None, None)),
    ],
    ids=[
        "car",
        "twin tyres",
        "counted from one",
        "the first axle behind",
        "an inner tyre silent",
        "right side only",
        "left only",
        "not certain",
        "none",
    ],
)
def test_corners_are_the_outer_tyres(locations: set[int], expected: tuple[int | None, ...]) -> None:
    found = corners(locations)
    assert tuple(found.get(corner) for corner in CORNERS) == expected
