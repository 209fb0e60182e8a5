"""Taking a 29-bit identifier apart."""

import pytest

from agent.sensors.can_frame import Frame


@pytest.mark.parametrize("can_id", [0x0CFEF100, 0x18FEF100, 0x18FEF131, 0x00FEF1FF])
def test_priority_and_source_are_no_part_of_the_pgn(can_id: int) -> None:
    assert Frame(can_id, b"").pgn == 65265


@pytest.mark.parametrize("can_id", [0x1CECFF00, 0x1CEC0049, 0x18EC2917])
def test_a_destination_is_no_part_of_the_pgn(can_id: int) -> None:
    assert Frame(can_id, b"").pgn == 60416


def test_the_data_page_is_part_of_the_pgn() -> None:
    assert Frame(0x19FEF100, b"").pgn == 65265 + 0x10000


def test_addresses_of_a_point_to_point_frame() -> None:
    frame = Frame(0x1CEC0049, b"")
    assert (frame.source, frame.destination) == (0x49, 0x00)


def test_a_broadcast_frame_is_for_everyone() -> None:
    assert Frame(0x18FEF131, b"").destination == 255
