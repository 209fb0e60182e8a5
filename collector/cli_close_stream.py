"""`milepost audit close`: the waiting for a stream ends."""

import typer

from collector.cli_options import print_json, writing
from collector.ingest.history_writer import HistoryWriter
from collector.settings import CollectorSettings
from contract import machine_clock
from contract.control_messages import Report
from contract.errors import Misconfigured


def close_stream(settings: CollectorSettings, truck_id: str, stream_id: str, *, as_json: bool) -> None:
    """End the waiting for a stream, and say what is lost with it.

    Args:
        settings: whose store.
        truck_id: whose stream.
        stream_id: a stream of a truck or buffer that is gone for good.
        as_json: whether the answer is one JSON document.

    Raises:
        Misconfigured: the truck has no such stream.
    """
    with writing(settings) as (store, policy):
        ledger = store.ledgers(truck_id).get(stream_id)
        if ledger is None:
            raise Misconfigured(f"no stream {stream_id!r} of {truck_id!r}: `milepost audit` lists them")
        lost = ledger.missing().count
        said = Report(stream_id=stream_id, oldest_retained=ledger.highest + 1, highest_seq=ledger.highest, closed=True)
        with store.unit():
            HistoryWriter(store, policy).revise(
                truck_id, stream_id, lambda known: known.report(said, machine_clock.now_ms())
            )
    answer = {"truck_id": truck_id, "stream_id": stream_id, "lost": lost}
    print_json(answer) if as_json else typer.echo(f"Closed: {lost} samples of {stream_id} are lost for certain.")
