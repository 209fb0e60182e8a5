"""The HTTP doors behind a function URL: the box's own application, whose durable writer is here the stream.

A record that is judged wrong goes into the stream like the others, whose handler dead-letters it; the receipt tells
its field and reason at once. A duplicate is not known here (docs/deploy-aws.md). Telemetry by HTTP is closed until keys
are configured: this address is public.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from typing import Any

from collector.beacon.app import create_app
from collector.beacon.settings import BeaconSettings
from collector.handlers.function_url import App, answer
from collector.handlers.observability import Door
from collector.handlers.settings import Streams, secrets
from collector.ingest.stream_puts import put_items
from collector.streams import Stream
from collector.streams.kinesis import connect
from contract.ingest_items import Item, Kind, Receipt
from contract.settings import load

door = Door("milepost-beacon")


@door
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A request of payload format 2.0 in; its response out."""
    response = answer(_app(), event)
    door.count({f"status{response['statusCode'] // 100}xx": 1})
    return response


@cache
def _app() -> App:
    names = Streams.load()
    streams = {"click": connect(names.clicks), "telemetry": connect(names.telemetry)}
    own = load("beacon", BeaconSettings)
    settings = BeaconSettings.model_validate({**own.model_dump(), **secrets()}).closed()
    return create_app(Submit(streams), settings=settings)  # type: ignore[arg-type]


class Submit:
    """What the application's doors hand their items to; the future is done when the stream has them."""

    def __init__(self, streams: Mapping[Kind, Stream]) -> None:
        self._streams = streams

    def __call__(self, items: list[Item]) -> "Future[list[Receipt]]":
        future: Future[list[Receipt]] = Future()
        try:
            future.set_result(put_items(self._streams[items[0].kind], items))
        except Exception as error:  # noqa: BLE001 - a door: the request is answered 503
            future.set_exception(error)
        return future
