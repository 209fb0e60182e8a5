"""When a truck of the fleet reports, by the order in which the broker's acknowledgements come: no broker gives that."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.storm import fill
from contract.control_messages import Report
from simulator.fleet import mqtt5
from simulator.fleet.ledger import FleetLedger
from simulator.fleet.truck import FleetTruck

BACKLOG = 5


class Wire:
    """What a truck sends: packet identifier and payload of each PUBLISH, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []

    def send(self, data: bytes) -> None:
        received = bytearray(data)
        self.sent += [(each.number, each.payload) for each in mqtt5.packets(received) if each.kind == mqtt5.PUBLISH]

    @property
    def reports(self) -> list[Report]:
        return [Report.model_validate_json(payload) for _, payload in self.sent if b'"highest_seq"' in payload
                and b'"pending"' in payload]  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FleetLedger]:
    ledger = FleetLedger(tmp_path / "fleet.db")
    fill(ledger, 1, BACKLOG)
    yield ledger
    ledger.close()


def test_it_reports_once_nothing_waits_though_a_live_sample_came_between(ledger: FleetLedger) -> None:
    """Its acknowledgement is the last: what was reported to wait would not be asked for until the next report."""
    (state,) = ledger.enter(["TRUCK-001"])
    truck = FleetTruck("TRUCK-001", 1, ledger, state, hardships=False)
    wire = Wire()
    truck.connection = wire  # type: ignore[assignment]
    truck.connected()
    (batch,) = [number for number, payload in wire.sent if b'"records"' in payload]
    assert wire.reports[-1].pending == [(1, BACKLOG)]
    taken = truck.sample(datetime.now(UTC))
    assert taken is not None
    ledger.append([taken], ())
    truck.stored(*taken[1:])
    live = wire.sent[-1][0]
    truck.received(mqtt5.Packet(mqtt5.PUBACK, batch))
    assert not truck.report_where_due()
    truck.received(mqtt5.Packet(mqtt5.PUBACK, live))
    assert truck.report_where_due()
    assert (wire.reports[-1].pending, wire.reports[-1].highest_seq) == ([], BACKLOG + 1)
    assert not truck.report_where_due()
