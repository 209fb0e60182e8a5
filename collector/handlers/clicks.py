"""The stream of shop events, into events and counters."""

from typing import Any

from collector.handlers import assembly
from collector.handlers.batch import take
from collector.handlers.observe import Door, seconds_left

door = Door("milepost-clicks")


@door
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A Kinesis event in; what must be delivered again out."""
    left = seconds_left(context)
    outcome = take(event["Records"], kind="click", store=assembly.store(), ingest=assembly.ingest(), left=left)
    door.count(outcome.counts, outcome.oldest_ms)
    return outcome.response()
