"""`type = "j1939"`: a truck's J1939 bus by python-can, listening only.

It sends nothing. The controller itself acknowledges frames unless it is told not to:
`ip link set can0 type can bitrate 250000 listen-only on` (250 or 500 kbit/s; 125 ms restart with `restart-ms 125`).
"""

from typing import TYPE_CHECKING

from agent.sensors.can_address import parse_address
from agent.sensors.can_sensor import BusSensor
from agent.sensors.j1939.addresses import ADDRESS_CLAIM_PGN
from agent.sensors.j1939.decoder import Decoder
from agent.sensors.j1939.faults import DM1_PGN
from agent.sensors.j1939.signals import PGNS
from agent.sensors.j1939.transport_protocol import TP_CM, TP_DT

if TYPE_CHECKING:
    from can.typechecking import CanFilter

_TO_ALL, _TO_ONE = 0x03FFFF00, 0x03FF0000


class J1939Sensor(BusSensor):
    """Implements agent.sensors.Listening. path: see agent/sensors/can_address.py.

    Raises Misconfigured without python-can, or for a path that names no bus; a bus that is not there yet is waited for.
    """

    def __init__(self, path: str | None, *, interval: float) -> None:
        del interval  # the bus has its own pace
        super().__init__(parse_address("j1939", path), Decoder(live=True), filters=_filters())


def _filters() -> "list[CanFilter]":
    """What a truck's bus carries is mostly not for us: the kernel drops it before it costs a wake-up."""
    wanted = [(pgn, _TO_ALL) for pgn in (*PGNS, DM1_PGN)]
    wanted += [(pgn, _TO_ONE) for pgn in (TP_CM, TP_DT, ADDRESS_CLAIM_PGN)]
    return [{"can_id": pgn << 8, "can_mask": mask, "extended": True} for pgn, mask in wanted]
