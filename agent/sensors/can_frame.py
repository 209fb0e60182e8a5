"""One CAN frame, and the parts of a J1939 identifier (SAE J1939-21)."""

from typing import NamedTuple

GLOBAL = 255
"""The destination address that means everyone."""


class Frame(NamedTuple):
    """A classic CAN data frame, 0 to 8 bytes; when it was heard travels beside it."""

    can_id: int
    data: bytes
    extended: bool = True
    interface: str = ""

    @property
    def pgn(self) -> int:
        """The parameter group number: 18 bits, the destination byte zeroed where the format is point to point."""
        return pgn_of(self.can_id)

    @property
    def source(self) -> int:
        """The source address."""
        return self.can_id & 0xFF

    @property
    def destination(self) -> int:
        """The destination address; 255 for the broadcast format (PDU2)."""
        return (self.can_id >> 8) & 0xFF if (self.can_id >> 16) & 0xFF < 240 else GLOBAL


def pgn_of(can_id: int) -> int:
    """The PGN inside a 29-bit identifier; in PDU1 (format byte below 240) the destination is no part of it."""
    pgn = (can_id >> 8) & 0x3FFFF
    return pgn if (pgn >> 8) & 0xFF >= 240 else pgn & 0x3FF00
