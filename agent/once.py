"""One sample, now: stored first, then sent if the broker can be reached within a short time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.buffer import Buffer
from agent.clock import Clock
from agent.recorder import Recorder
from agent.sampler import Sampler
from agent.sensors import Sensor
from agent.settings import AgentSettings
from agent.transport import Transport
from agent.uplink import Uplink
from contract.codec import Json
from contract.errors import Retryable
from contract.ranges import Ranges

Outcome = Literal["sent", "refused", "unreachable", "unanswered"]
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
_TURN = 0.2


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

    Whoever asks for one sample now does not wait for a trusted time: without one it is `estimated`.
    """
    stored = Recorder(Sampler(settings.truck_id, sensors, clock), clock, buffer, patience=0).tick()
    if not stored:
        raise Retryable(f"cannot store a sample in {settings.buffer}: free some disk space")
    row = stored[-1]
    uplink = Uplink(settings, buffer, transport, clock)
    uplink.start()
    try:
        outcome = _await(uplink, buffer, clock, row.seq)
        uplink.say_goodbye(1.0)
    finally:
        uplink.close()
    return Once(json.loads(row.body), outcome)


def _await(uplink: Uplink, buffer: Buffer, clock: Clock, seq: int) -> Outcome:
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
