"""Reports by settings on one machine: read from the marts when they are due, and told by the alerts' outbox."""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from alerts import reports
from alerts.reports import Content, Report, Sending
from alerts.settings import Receiver
from alerts.writing import Writing
from collector import queries
from collector.rows import AlertChange
from collector.stores import Reader
from console import downloads
from contract import machine_clock
from contract.codec import dump, parse
from contract.errors import MilepostError, Retryable
from dashboards.panels import MART_TIME
from standalone.alert_loops import Loop
from standalone.group_commit_writer import Writer
from warehouse import read
from warehouse.settings import WarehouseSettings

log = logging.getLogger(__name__)

_LOOK_SECONDS = 20.0

Rows = Callable[[str], list[dict[str, Any]]]


def report_loops(  # noqa: PLR0913 - what is sent, to whom, from where
    asked: Sequence[Report],
    receivers: Sequence[Receiver],
    data_dir: Path,
    warehouse: WarehouseSettings,
    store_url: str,
    writer: Writer,
) -> list[Loop]:
    """What Standalone runs beside its own loops; none without reports.

    Args:
        asked: each `[[reports]]`.
        receivers: of `[alerts]`.
        data_dir: whose embedded warehouse.
        warehouse: which engine the marts are in.
        store_url: the store, whose outbox the reports wait in.
        writer: of the store.

    Raises:
        Misconfigured: a report of a mart or for a receiver that is not there.
    """
    reports.check(asked, receivers, MART_TIME)
    if not asked:
        return []
    writing = Writing(lambda act: writer.call(act).result())
    rows = partial(read.query, data_dir=data_dir, settings=warehouse)
    return [(keep_reporting, asked, receivers, rows, writing, store_url)]


def keep_reporting(  # noqa: PLR0913 - what is sent, to whom, from where to where
    asked: Sequence[Report],
    receivers: Sequence[Receiver],
    rows: Rows,
    writing: Writing,
    store_url: str,
    *,
    stop: threading.Event,
) -> None:
    """For a thread of its own, until `stop`; what an outage kept back is sent at once."""
    pause = 0.0
    with queries.opened_reader(store_url) as reader:
        while not stop.wait(pause):
            pause = _LOOK_SECONDS
            with suppress(Retryable):  # the store could not be written: it is done again
                if reader is not None:
                    report(asked, receivers, rows, reader, writing, machine_clock.now_ms())


def report(  # noqa: PLR0913 - what is sent, to whom, from where to where, when
    asked: Sequence[Report], receivers: Sequence[Receiver], rows: Rows, reader: Reader, write: Writing, now_ms: int
) -> None:
    """Put what is due into the outbox, once for each period: sending and mark are one act.

    Args:
        asked: each `[[reports]]`.
        receivers: of `[alerts]`.
        rows: gives the rows of a SELECT over the marts.
        reader: of the store.
        write: see `alerts.writing.Writing`.
        now_ms: Unix ms.

    Raises:
        Retryable: of the store; the next call does it again.
    """
    revision = reader.alert_revision(reports.SUBJECT)
    sent: dict[str, int] = {}
    for row in reader.alert_rows(reports.SUBJECT):
        document: Any = parse(row.text)
        sent[row.key] = document["until_ms"]
    marks = {each.name: reports.last_instant(each, now_ms) for each in asked if each.name not in sent}
    if marks:
        _keep(
            write, AlertChange(reports.SUBJECT, revision, {name: dump({"until_ms": ms}) for name, ms in marks.items()})
        )
        revision += 1
    for sending in reports.due(asked, sent, now_ms):
        try:
            found = rows(reports.select(sending, MART_TIME[sending.report.mart]))
        except MilepostError as error:  # no marts yet, or their engine is away: later
            log.warning("report_not_made name=%s reason=%s", sending.report.name, error)
            continue
        _keep(write, _change(sending, found, receivers, revision, now_ms))
        revision += 1


def _change(
    sending: Sending, found: Sequence[dict[str, Any]], receivers: Sequence[Receiver], revision: int, now_ms: int
) -> AlertChange:
    kept = found[: reports.MOST_ROWS]
    csv = _csv(sending, kept)
    while len(csv) > reports.MOST_BYTES:
        kept = kept[: len(kept) * reports.MOST_BYTES * 9 // (len(csv) * 10)]
        csv = _csv(sending, kept)
    content = Content(len(kept), len(kept) < len(found), csv.decode())
    told = reports.messages(sending, content, receivers, now_ms)
    mark = {sending.report.name: dump({"until_ms": sending.last_ms})}
    return AlertChange(reports.SUBJECT, revision, mark, (), told)


def _csv(sending: Sending, rows: Sequence[dict[str, Any]]) -> bytes:
    """As the console's own downloads are: what a spreadsheet would run as a formula stays a text."""
    return downloads.table(sending.report.name, "csv", rows).body if rows else b""


def _keep(write: Writing, change: AlertChange) -> None:
    write(lambda store: store.change_alerts(change))
