"""The stream of the trucks' messages, into samples, history and ledgers."""

from typing import Any

from collector.handlers import bootstrap
from collector.handlers.batch import process
from collector.handlers.observability import Door, seconds_left

door = Door("milepost-telemetry")


@door
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A Kinesis event in; what must be delivered again out."""
    left = seconds_left(context)
    outcome = process(event["Records"], kind="telemetry", store=bootstrap.store(), ingest=bootstrap.ingest(), left=left)
    door.count(outcome.counts, outcome.oldest_ms)
    return outcome.response()
