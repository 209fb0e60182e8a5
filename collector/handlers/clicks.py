"""The stream of shop events, into events and counters."""

from typing import Any

from collector.handlers import bootstrap
from collector.handlers.batch import process
from collector.handlers.observability import Door, seconds_left

door = Door("milepost-clicks")


@door
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A Kinesis event in; what must be delivered again out."""
    left = seconds_left(context)
    outcome = process(event["Records"], kind="click", store=bootstrap.store(), ingest=bootstrap.ingest(), left=left)
    door.count(outcome.counts, outcome.oldest_ms)
    return outcome.response()
