"""A recording in which several kinds of bus may stand beside each other: J1939, OBD-II answers, a CANmod.gps receiver.

Where the vehicle speaks J1939, that alone is the vehicle: 11-bit frames beside it are those of the logger that
recorded it and of its receiver. Else each decoder takes what it knows; what several give is taken from the first, as
`merge` does.
"""

from agent.sensors.can_frame import Frame
from agent.sensors.canmod import Canmod
from agent.sensors.fields import REASONS, Reason
from agent.sensors.j1939.decoder import Decoder
from agent.sensors.obd2.decoder import Obd2Decoder
from agent.sensors.since_last import Interval


class Mixed:
    """One recording. `feed` in the order heard; `snapshot` at any time of the same time line."""

    def __init__(self) -> None:
        self._decoders: tuple[Decoder, Obd2Decoder, Canmod] = (Decoder(), Obd2Decoder(), Canmod())

    def feed(self, now: float, frame: Frame) -> None:
        """Files one frame."""
        for decoder in self._decoders:
            decoder.feed(now, frame)

    def end_interval(self, now: float) -> Interval | None:
        """What was heard since the last call: of J1939 where that speaks, else of OBD-II."""
        intervals = [decoder.end_interval(now) for decoder in self._decoders[:2]]
        return intervals[0] or intervals[1]

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """(leaf → value, leaf → the most telling reason why not)."""
        values, quality = self._decoders[0].snapshot(now)
        if values:
            return values, quality
        for found, lacking in [decoder.snapshot(now) for decoder in self._decoders[1:]]:
            values = found | values
            for leaf, reason in lacking.items():
                quality[leaf] = max(reason, quality.get(leaf, reason), key=REASONS.index)
        return values, {leaf: reason for leaf, reason in quality.items() if leaf not in values}
