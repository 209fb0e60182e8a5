"""`type = "obd2"`: modes 01, 03 and 07 over a van's CAN bus by python-can.

It asks on 7DF and hears 7E8 to 7EF, or the same by 29 bits (see asker.py for how often). With `?ask=no` behind the path
it only listens, for a bus on which another device asks already; then it sends nothing.
"""

from typing import TYPE_CHECKING

from agent.sensors.can_address import CAPTURE, parse_address
from agent.sensors.can_sensor import BusSensor
from agent.sensors.obd2.asker import Asker
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.obd2.isotp import EXTENDED_ANSWER, FIRST_ANSWER

if TYPE_CHECKING:
    from can.typechecking import CanFilter


class Obd2Sensor(BusSensor):
    """Implements agent.sensors.Listening. path: see agent/sensors/can_address.py.

    Raises Misconfigured without python-can, or for a path that names no bus; a bus that is not there yet is waited for.
    """

    def __init__(self, path: str | None, *, interval: float) -> None:
        del interval  # each parameter has its own
        address = parse_address("obd2", path)
        decoder = Obd2Decoder()
        asks = address.own.get("ask", True) and address.interface != CAPTURE
        super().__init__(address, decoder, filters=_filters(), ask=Asker(decoder).next if asks else None)


def _filters() -> "list[CanFilter]":
    """The identifiers of answers."""
    return [
        {"can_id": FIRST_ANSWER, "can_mask": 0x7F8, "extended": False},
        {"can_id": EXTENDED_ANSWER, "can_mask": 0x1FFFFF00, "extended": True},
    ]
