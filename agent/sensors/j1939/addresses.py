"""Which control unit has which address of a bus (SAE J1939-81): a unit is its NAME, which it says when it claims an
address, and may claim another later.

Pure, and bounded by the number of addresses. Where nobody was heard claiming, an address stands for its unit.
"""

from typing import NamedTuple

from agent.sensors.can_frame import Frame

ADDRESS_CLAIM_PGN = 60928
NO_ADDRESS = 254
"""The source of a unit that could not claim any."""


class Claim(NamedTuple):
    """What a claim changes. name: whose it is. left: the address that this unit had until now. ousted: the unit that
    had the claimed address, and has to claim another one."""

    name: bytes
    left: int | None = None
    ousted: bytes | None = None


class Addresses:
    """Those of one bus."""

    def __init__(self) -> None:
        self._names: dict[int, bytes] = {}
        self._ranks: dict[int, int] = {}

    def rank(self, source: int) -> int:
        """What its place among the units goes by: the address at which a unit was first known, as long as no other one
        claims that."""
        return self._ranks.get(source, source)

    def claim(self, frame: Frame) -> Claim | None:
        """File an address claim; None where it changes nothing or cannot be read."""
        source, name = frame.source, bytes(frame.data)
        if len(name) != 8 or self._names.get(source) == name:
            return None
        left = next((address for address, holder in self._names.items() if holder == name), None)
        rank = source
        if left is not None:
            del self._names[left]
            rank = self._ranks.pop(left, left)
        if source >= NO_ADDRESS:
            return Claim(name, left)
        ousted = self._names.get(source)
        self._names[source] = name
        self._ranks = {address: kept for address, kept in self._ranks.items() if source not in (address, kept)}
        if rank != source:
            self._ranks[source] = rank
        return Claim(name, left, ousted)
