"""Reports that leave the building on a schedule: `[[reports]]` of milepost.toml. Pure.

Each sending covers what came between the former sending and this one, so that an outage leaves no hole. A mart whose
rows are of a day gives the whole days of UTC in between; one without a time gives all its rows.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from alerts.day_span import ZoneName
from alerts.outbox import due_ms
from alerts.settings import Receiver
from collector.rows import OutboxMessage
from contract import timestamps
from contract.codec import dump
from contract.errors import Misconfigured
from contract.settings import RoomSettings

SUBJECT = "~reports"
"""The subject under which the last sending of each report is kept: no truck can be called so."""

MOST_ROWS = 10_000
MOST_BYTES = 200_000
"""Of the CSV: below what an SNS message and an item of DynamoDB hold."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = get_args(Day)
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Value = str | bool | int | float
MartTime = tuple[str, Literal["date", "timestamp"]] | None
"""The column of a mart by which a period is chosen, and its type; None where it has none."""


class Report(BaseModel):
    """A `[[reports]]` table.

    name: by which its last sending is kept. title: what people read, the name where it is left out. mart: which one
    (docs/metrics.md). where: column → value, or several of which one must hold. weekdays, at, zone: when it is sent.
    receivers: names of `[[alerts.receivers]]`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    title: str = ""
    mart: Name
    where: dict[Name, Value | tuple[Value, ...]] = Field(default_factory=dict)
    weekdays: tuple[Day, ...] = Field(default=_DAYS, min_length=1)
    at: str = Field(default="06:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    zone: ZoneName = "UTC"
    receivers: tuple[str, ...] = Field(min_length=1)


class ReportSettings(RoomSettings):
    """reports: each `[[reports]]`."""

    reports: tuple[Report, ...] = ()

    @model_validator(mode="after")
    def _names_are_different(self) -> "ReportSettings":
        names = [report.name for report in self.reports]
        if len(set(names)) < len(names):
            raise ValueError("two reports have one name")
        return self


class Sending(NamedTuple):
    """A report that is to be sent: of what came from an instant to another, the latter not included. Unix ms."""

    report: Report
    first_ms: int
    last_ms: int


class Content(NamedTuple):
    """csv: with a header line, at most MOST_BYTES. rows: how many are in it. is_cut: whether there are more."""

    rows: int
    is_cut: bool
    csv: str


def check(reports: Sequence[Report], receivers: Sequence[Receiver], marts: Mapping[str, MartTime]) -> None:
    """Refuse a report that could never be sent.

    Args:
        reports: of the settings.
        receivers: of `[alerts]`.
        marts: those that there are.

    Raises:
        Misconfigured: names the report, and the mart or receiver that is not there.
    """
    known = {receiver.name for receiver in receivers}
    for report in reports:
        if report.mart not in marts:
            raise Misconfigured(f"[[reports]] {report.name}: there is no mart {report.mart!r} (docs/metrics.md)")
        if missing := sorted(set(report.receivers) - known):
            raise Misconfigured(f"[[reports]] {report.name}: no [[alerts.receivers]] is named {missing[0]!r}: add it")


def last_instant(report: Report, now_ms: int) -> int:
    """The newest instant at which a report was due.

    Args:
        report: which.
        now_ms: Unix ms.

    Returns:
        Unix ms, now or before it. An hour that the clocks skip or repeat counts once.
    """
    zone, clock = ZoneInfo(report.zone), time.fromisoformat(report.at)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
    for back in range(9):
        day = today - timedelta(days=back)
        instant = round(datetime.combine(day, clock, zone).timestamp() * 1000)
        if _DAYS[day.weekday()] in report.weekdays and instant <= now_ms:
            return instant
    raise AssertionError("one of the last nine days is a weekday of any kind")


def due(reports: Sequence[Report], sent: Mapping[str, int], now_ms: int) -> list[Sending]:
    """What is to be sent now; where several instants passed, one report of all that came since the last sending.

    Args:
        reports: of the settings.
        sent: name → the instant up to which it was sent; a report without one begins with its next instant.
        now_ms: Unix ms.

    Returns:
        At most one for each report.
    """
    found = []
    for report in reports:
        instant = last_instant(report, now_ms)
        if report.name in sent and sent[report.name] < instant:
            found.append(Sending(report, sent[report.name], instant))
    return found


def select(sending: Sending, time_of: MartTime) -> str:
    """The SELECT of a sending's rows, one more than is sent, in an order that every engine gives.

    Args:
        sending: which.
        time_of: of its mart.

    Returns:
        SQL that DuckDB, PostgreSQL and Snowflake understand.
    """
    report = sending.report
    conditions = []
    for column, value in sorted(report.where.items()):
        values = value if isinstance(value, tuple) else (value,)
        conditions.append(f"{column} IN ({', '.join(map(_literal, values))})")
    if time_of:
        column, kind = time_of
        size = 10 if kind == "date" else 23
        first, last = (
            timestamps.from_ms(each)[:size].replace("T", " ") for each in (sending.first_ms, sending.last_ms)
        )
        conditions.append(f"{column} >= {kind.upper()} '{first}' AND {column} < {kind.upper()} '{last}'")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT * FROM {report.mart}{where} ORDER BY {time_of[0] if time_of else 1} LIMIT {MOST_ROWS + 1}"


def _literal(value: Value) -> str:
    if isinstance(value, bool | int | float):
        return str(value).upper()
    return "'" + re.sub("'", "''", value) + "'"


def messages(sending: Sending, content: Content, receivers: Sequence[Receiver], now_ms: int) -> list[OutboxMessage]:
    """What is told: one message for each receiver of the report, due when it may be told.

    Args:
        sending: which.
        content: its rows.
        receivers: of `[alerts]`.
        now_ms: Unix ms.

    Returns:
        Their ids are of report, period and receiver: the same sending again is the same messages.
    """
    report = sending.report
    first, last = timestamps.from_ms(sending.first_ms), timestamps.from_ms(sending.last_ms)
    document = {
        "thread": f"report-{report.name}-{last}",
        "number": 1,
        "event": "report",
        "into": None,
        "at": timestamps.from_ms(now_ms),
        "report": {
            "name": report.name,
            "title": report.title or report.name,
            "mart": report.mart,
            "from": first,
            "to": last,
            **content._asdict(),
        },
    }
    return [
        OutboxMessage(
            f"report#{report.name}#{last}#{each.name}", each.name, due_ms(each, "info", now_ms), 0, dump(document)
        )
        for each in receivers
        if each.name in report.receivers
    ]
