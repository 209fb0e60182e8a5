"""Reading candump logs: what is a frame, what is passed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sensors.can_frame import Frame
from agent.sensors.candump import Candump, parse_line


def test_a_line_becomes_a_frame() -> None:
    assert parse_line("(1635188455.029900) can0 0CF00400#607D84481400F084\n") == (
        1635188455.0299,
        Frame(0x0CF00400, bytes.fromhex("607D84481400F084"), True, "can0"),
    )


def test_three_hex_digits_are_an_11_bit_identifier() -> None:
    parsed = parse_line("(1.5) can1 00A#01")
    assert parsed == (1.5, Frame(0x00A, b"\x01", False, "can1"))


@pytest.mark.parametrize(
    "line",
    [
        "(15.2000000838) cano 1CEB0049#012334567890FF23",
        "(1) vcan0 18FEF100#",
        "  (1.0)   can0\t18fef100#ff00  ",
        "(1.0) can0 18FEF100#FF R",
        "(1.0) can0 18FEF100#FF T\r\n",
    ],
    ids=["odd interface", "no data", "blanks and lower case", "received", "sent"],
)
def test_hand_edited_lines_are_read(line: str) -> None:
    assert parse_line(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# a comment",
        "(1.0) can0 18FEF100#R",
        "(1.0) can0 18FEF100##1FF",
        "(1.0) can0 20000004#0000000000000000",
        "(1.0) can0 18FEF100#F",
        "(1.0) can0 18FEF100#00112233445566778899",
        "(1.0) can0 FFF#00",
        "(-1.0) can0 18FEF100#00",
        "(nan) can0 18FEF100#00",
        "(1.0) can0 18FEF100#0",
        "(1.0) can0",
        "(1.0) can0 1８FEF100#00",
    ],
)
def test_what_is_no_classic_data_frame_is_passed_over(line: str) -> None:
    assert parse_line(line) is None


@given(st.text())
def test_garbage_never_raises(line: str) -> None:
    parse_line(line)


@given(st.text(alphabet="()#. 0123456789ABCDEFcanRT\n", max_size=60))
def test_garbage_that_looks_like_candump_never_raises(line: str) -> None:
    parse_line(line)


def test_a_log_counts_frames_and_what_it_passed_over() -> None:
    log = Candump(["(1.0) can0 18FEF100#00\n", "\n", "noise\n", "(0.5) can0 18FEF100#01\n"])
    assert [stamp for stamp, _ in log] == [1.0, 0.5]
    assert (log.frames, log.skipped) == (2, 1)
