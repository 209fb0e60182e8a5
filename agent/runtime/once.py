"""One sample, as soon as the sensors have heard something: stored first, then sent if the broker can be reached within
a short time."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.buffer import Buffer
from agent.publishing.publisher import Publisher
from agent.sampling.recorder import Recorder
from agent.sampling.sampler import Sampler
from agent.sensors import Listening, Sensor
from agent.sensors.uptime import uptime
from agent.settings import AgentSettings
from agent.timing.clock import Clock
from agent.transport import Transport
from contract.codec import Json
from contract.errors import Retryable
from contract.ranges import Ranges

Outcome = Literal["sent", "refused", "unreachable", "unanswered"]
LISTEN_SECONDS = 6.0
"""For a sensor to hear something; one that does not has nothing to say."""
SETTLE_SECONDS = 2.0
"""After the first that a sensor heard: most of what a bus or a receiver repeats comes once a second."""
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
_TURN = 0.2
_LOOK = 0.05


@dataclass(frozen=True, slots=True)
class Once:
    """sample: the wire document as stored. outcome: what became of it; unless `sent`, it waits in the buffer."""

    sample: dict[str, Json]
    outcome: Outcome


def once(
    *,
    settings: AgentSettings,
    sensors: Sequence[Sensor],
    clock: Clock,
    buffer: Buffer,
    transport: Transport,
) -> Once:
    """Take, store and try to send one sample; what else waits may go with it. Retryable if it cannot be stored.

    The sensors have just been opened, so those that listen are given a few seconds; what one did not hear by then is
    null, and `quality` says why. Nobody waits for a trusted time: without one the sample is `estimated`.
    """
    _listen(sensors, clock)
    stored = Recorder(Sampler(settings.truck_id, sensors, clock), clock, buffer, patience=0).tick()
    if not stored:
        raise Retryable(f"cannot store a sample in {settings.buffer}: free some disk space")
    row = stored[-1]
    uplink = Publisher(settings, buffer, transport, clock)
    uplink.start()
    try:
        outcome = _await(uplink, buffer, clock, row.seq)
        uplink.say_goodbye(1.0)
    finally:
        uplink.close()
    return Once(json.loads(row.body), outcome)


def _listen(sensors: Sequence[Sensor], clock: Clock) -> None:
    """Until each sensor has heard what there is, or none can be waited for any longer."""
    listening = [sensor for sensor in sensors if isinstance(sensor, Listening)]
    deadline = clock.monotonic() + LISTEN_SECONDS
    while clock.monotonic() < deadline:
        if all(each.heard is not None and uptime() - each.heard >= SETTLE_SECONDS for each in listening):
            return
        time.sleep(_LOOK)


def _await(uplink: Publisher, buffer: Buffer, clock: Clock, seq: int) -> Outcome:
    deadline = clock.monotonic() + CONNECT_SECONDS
    ever = False
    while (left := deadline - clock.monotonic()) > 0:
        uplink.turn(min(left, _TURN))
        if uplink.connected and not ever:
            ever, deadline = True, clock.monotonic() + ANSWER_SECONDS
        if not buffer.pending_ranges() & Ranges.of([(seq, seq)]):
            return "sent"
        if uplink.tally.refused:
            return "refused"
    return "unanswered" if ever else "unreachable"
