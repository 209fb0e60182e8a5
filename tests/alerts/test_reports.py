"""Reports by settings: due by weekday, hour and zone, of what came since the last one, once each, also over a kill."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import ValidationError

from alerts import outbox, reports
from alerts.reports import Report, ReportSettings
from alerts.senders import send
from alerts.settings import Receiver
from alerts.writing import Writing
from contract import timestamps
from contract.errors import Misconfigured
from contract.settings import load
from standalone.report_loop import report
from tests.alerts.receivers import SECRET, MailServer, WebhookServer, serving
from tests.collector.stores_on_disk import Collector
from warehouse import read

DAILY = Report(name="daily", mart="truck_day", at="06:00", zone="Europe/Berlin", receivers=("ops",))


def ms(text: str) -> int:
    return timestamps.to_ms(f"2026-{text}:00.000Z")


def ops(url: str = "http://127.0.0.1:1") -> Receiver:
    return Receiver(name="ops", kind="webhook", url=url, secret=SECRET, wait_seconds=0)


@pytest.mark.parametrize(
    ("weekdays", "now", "instant"),
    [
        (None, "06-01T04:00", "06-01T04:00"),  # a Monday; six in Berlin
        (None, "06-01T03:59", "05-31T04:00"),
        (("fri",), "06-01T12:00", "05-29T04:00"),
        (("mon",), "06-01T03:59", "05-25T04:00"),
        (None, "03-29T12:00", "03-29T04:00"),  # the clocks went forward at two that night
        (None, "03-28T12:00", "03-28T05:00"),
    ],
)
def test_when_a_report_was_last_due(weekdays: Any, now: str, instant: str) -> None:
    asked = DAILY.model_copy(update={"weekdays": weekdays} if weekdays else {})
    assert reports.last_instant(asked, ms(now)) == ms(instant)


def test_after_an_outage_one_report_says_all_that_came_since_the_last_one() -> None:
    [sending] = reports.due([DAILY], {"daily": ms("06-01T04:00")}, ms("06-04T09:00"))
    assert (sending.first_ms, sending.last_ms) == (ms("06-01T04:00"), ms("06-04T04:00"))
    assert reports.due([DAILY], {"daily": ms("06-04T04:00")}, ms("06-04T09:00")) == []
    assert reports.due([DAILY], {}, ms("06-04T09:00")) == []  # a new one begins with its next instant


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Marts of a fleet of two trucks: a day each from the last of May to the third of June."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as db:
        db.execute("CREATE SCHEMA base; CREATE SCHEMA marts")
        db.execute(
            "CREATE TABLE marts.truck_day AS SELECT DATE '2026-05-31' + CAST(day AS INTEGER) AS day, truck_id,"
            " 10.5 * day AS distance_km FROM range(4) AS days (day),"
            " (VALUES ('T1'), ('O''Brien')) AS trucks (truck_id)"
        )
    return tmp_path


def sent(folder: Path, collector: Collector, asked: Report, *times: str) -> list[dict[str, Any]]:
    """The messages in the outbox after looks at these times, each by a service of its own."""
    for each in times:
        report(
            [asked],
            [ops()],
            lambda sql: read.query(sql, folder),
            collector.store,
            Writing(lambda act: act(collector.store)),
            ms(each),
        )
    return [json.loads(each.text)["report"] for each in collector.store.outbox("ops", ms("12-01T00:00"), 100)]


def test_each_period_is_sent_once_with_its_rows_whoever_looks_how_often(folder: Path) -> None:
    collector = Collector(folder / "milepost.db")
    asked = DAILY.model_copy(update={"where": {"truck_id": ("O'Brien", "T9")}})
    found = sent(
        folder,
        collector,
        asked,
        "06-01T05:00",
        "06-02T03:59",
        "06-02T04:00",
        "06-02T04:01",
        "06-02T09:00",
        "06-03T04:05",
    )
    collector.close()
    assert [(each["from"][:10], each["to"][:10], each["csv"].split()) for each in found] == [
        ("2026-06-01", "2026-06-02", ["day,truck_id,distance_km", "2026-06-01,O'Brien,10.5"]),
        ("2026-06-02", "2026-06-03", ["day,truck_id,distance_km", "2026-06-02,O'Brien,21"]),
    ]


def test_a_report_waits_for_marts_that_are_not_there(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    assert sent(tmp_path, collector, DAILY, "06-01T05:00", "06-02T05:00") == []
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as db:
        db.execute("CREATE SCHEMA base; CREATE SCHEMA marts")
        db.execute("CREATE TABLE marts.truck_day AS SELECT DATE '2026-06-01' AS day, 'T1' AS truck_id")
    [found] = sent(tmp_path, collector, DAILY, "06-02T06:00")
    collector.close()
    assert (found["rows"], found["to"]) == (1, "2026-06-02T04:00:00.000Z")


def test_what_is_too_long_for_a_receiver_is_cut_at_a_row_and_says_so(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    rows = [{"truck_id": f"T{number}", "said": "two\nlines" + "x" * 90} for number in range(5_000)]
    write = Writing(lambda act: act(collector.store))
    for each in ("06-01T05:00", "06-02T05:00"):
        report([DAILY], [ops()], lambda _: rows, collector.store, write, ms(each))
    due = collector.store.outbox("ops", ms("12-01T00:00"), 100)
    collector.close()
    said = json.loads(due[0].text)["report"]
    assert said["is_cut"]
    assert [*csv.DictReader(io.StringIO(said["csv"], newline=""))] == rows[: said["rows"]]
    assert 150_000 < len(said["csv"]) <= 200_000
    [group] = outbox.groups(due)
    assert group.text.startswith(f"daily: the first {said['rows']:,} rows from 2026-06-01T04")


def test_what_a_spreadsheet_would_run_stays_a_text(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    write = Writing(lambda act: act(collector.store))
    for each in ("06-01T05:00", "06-02T05:00"):
        report([DAILY], [ops()], lambda _: [{"item_name": "=cmd()"}], collector.store, write, ms(each))
    [due] = collector.store.outbox("ops", ms("12-01T00:00"), 100)
    collector.close()
    assert json.loads(due.text)["report"]["csv"] == "item_name\r\n'=cmd()\r\n"


def test_it_goes_out_by_e_mail_with_its_rows_beside_it_and_by_a_signed_webhook(folder: Path) -> None:
    collector = Collector(folder / "milepost.db")
    sent(folder, collector, DAILY, "06-01T05:00", "06-02T05:00")
    due = collector.store.outbox("ops", ms("12-01T00:00"), 100)
    collector.close()
    [group] = outbox.groups(due)
    with serving(MailServer()) as mails, serving(WebhookServer()) as hooks:
        addressed = {"server": mails.address, "tls": "none", "sender": "a@example.org", "to": ("b@example.org",)}
        send(Receiver(name="mail", kind="email", **addressed), group)
        send(ops(hooks.url), group)
    [mail], [request] = mails.mails, hooks.requests
    assert "Subject: [info] daily: 2 rows" in mail
    assert 'filename="daily.csv"' in mail
    assert (request["event"], request["messages"][0]["report"]["rows"]) == ("report", 2)


def test_the_settings_file_has_a_table_for_each_report(tmp_path: Path) -> None:
    file = tmp_path / "milepost.toml"
    file.write_text(
        '[[reports]]\nname = "late"\nmart = "delivery"\nwhere = { is_late = true }\nweekdays = ["mon"]\n'
        'receivers = ["ops"]\n'
        '[[reports]]\nname = "fuel"\nmart = "fuel_event"\nreceivers = ["ops"]\n'
    )
    found = load("reports", ReportSettings, file, {}).reports
    assert [(each.name, each.where) for each in found] == [("late", {"is_late": True}), ("fuel", {})]
    with pytest.raises(Misconfigured, match="no mart 'delivery'"):
        reports.check(found, [ops()], {"fuel_event": ("at", "timestamp")})
    with pytest.raises(Misconfigured, match=r"no \[\[alerts.receivers\]\] is named 'ops'"):
        reports.check(found, [], {"fuel_event": None, "delivery": None})
    with pytest.raises(ValidationError, match="weekdays"):
        Report(name="x", mart="delivery", weekdays=("monday",), receivers=("ops",))  # type: ignore[arg-type]
