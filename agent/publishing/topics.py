"""Which topics a truck's messages take: through the broker, or past it into an AWS IoT rule (Basic Ingest).

Status goes through the broker always, since it is retained and the last will.
"""

from typing import NamedTuple

from agent.settings import BasicIngest
from contract import topics


class Routes(NamedTuple):
    """The topics that one truck publishes on, and those it listens to."""

    telemetry: str
    batch: str
    report: str
    status: str
    resend: str
    config: str
    command: str
    time_ask: str
    time: str


def routes(truck_id: str, ingest: BasicIngest) -> Routes:
    """The topics of a truck; a rule in `ingest` takes what it is named for past the broker."""
    return Routes(
        telemetry=_past(ingest.telemetry, topics.telemetry(truck_id)),
        batch=_past(ingest.batch, topics.batch(truck_id)),
        report=_past(ingest.report, topics.report(truck_id)),
        status=topics.status(truck_id),
        resend=topics.resend(truck_id),
        config=topics.config(truck_id),
        command=topics.command(truck_id),
        time_ask=topics.time_ask(truck_id),
        time=topics.time(truck_id),
    )


def _past(rule: str | None, topic: str) -> str:
    return f"$aws/rules/{rule}/{topic}" if rule else topic
