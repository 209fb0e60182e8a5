"""Alerts at a running `milepost up`: told once over a kill and a receiver that was down, acknowledged, and over; a
quality rule that fails; and a report by its settings."""

import json
import time
from pathlib import Path

import duckdb
import httpx

from alerts import reports
from collector.rows import AlertChange
from collector.stores.factory import open_store
from contract import timestamps
from contract.codec import dump
from tests.alerts.receivers import SECRET, WebhookServer, serving
from tests.standalone.up import Up
from tests.waiting import until


def test_a_receiver_that_was_down_over_a_kill_is_told_once(tmp_path: Path) -> None:
    def ingest(heat: int, *minutes_ago: float) -> None:
        times = [timestamps.from_ms(int((time.time() - minutes * 60) * 1000)) for minutes in minutes_ago]
        records = [
            {"truck_id": "T1", "sampled_at": at, "engine_diagnostics": {"engine_temperature": heat}} for at in times
        ]
        (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, records)))
        assert up.ask("ingest", str(tmp_path / "some.jsonl"))["accepted"] == len(times)

    with serving(WebhookServer()) as server:
        server.is_down = True
        (tmp_path / "milepost.toml").write_text(
            f'[[alerts.receivers]]\nname="ops"\nkind="webhook"\nurl="{server.url}"\nsecret="{SECRET}"\nwait_seconds=0\n'
        )
        up = Up(tmp_path / "data", ["--trucks", "0", "--shoppers", "0", "--config", str(tmp_path / "milepost.toml")])
        up.start()
        ingest(120, 5, 3, 1)
        until(lambda: server.refused)
        [alert] = up.ask("alerts", "list", "--open")
        up.kill()
        up.start()
        server.is_down = False
        until(lambda: server.messages)
        assert up.ask("alerts", "ack", alert["id"], "--note", "on my way")["acknowledged"]["note"] == "on my way"
        ingest(90, 0)
        until(lambda: len(server.messages) == 2)
        [listed] = up.ask("alerts", "list")
        assert (listed["id"], listed["end"] is not None) == (alert["id"], True)
        assert listed["acknowledged"]["note"] == "on my way"
        up.end()
    events = [(each["number"], each["event"], each["alert"]["rule"]) for each in server.messages.values()]
    assert sorted(events) == [(1, "opening", "overheating"), (2, "end", "overheating")]


def test_a_report_that_an_outage_kept_back_goes_out_when_the_service_is_back(tmp_path: Path) -> None:
    """The mark of three days ago is an earlier run's; the marts are `milepost warehouse build`'s."""
    data = tmp_path / "data"
    data.mkdir()
    day_ms = 86_400_000
    until_ms = int(time.time()) * 1000 // day_ms * day_ms - 3 * day_ms
    store = open_store(f"sqlite:///{data / 'milepost.db'}")
    store.change_alerts(AlertChange(reports.SUBJECT, 0, {"daily": dump({"until_ms": until_ms})}))
    store.close()
    days = [timestamps.from_ms(until_ms + number * day_ms)[:10] for number in range(3)]
    with duckdb.connect(str(data / "warehouse.duckdb")) as db:
        db.execute("CREATE SCHEMA base; CREATE SCHEMA marts; CREATE TABLE marts.truck_day (day DATE, truck_id VARCHAR)")
        db.executemany("INSERT INTO marts.truck_day VALUES (?, 'T1')", [[day] for day in days])
        db.execute(
            "CREATE TABLE marts.quality_run AS SELECT TIMESTAMP '2026-01-01' AS run_at, 'speedy' AS rule,"
            " 'telemetry' AS table_name, 400 AS rows, 30 AS failed, 0.05 AS threshold, 'warn' AS verdict"
        )
    with serving(WebhookServer()) as server:
        (tmp_path / "milepost.toml").write_text(
            f'[[alerts.receivers]]\nname="ops"\nkind="webhook"\nurl="{server.url}"\nsecret="{SECRET}"\nwait_seconds=0\n'
            '[[reports]]\nname="daily"\nmart="truck_day"\nat="00:00"\nzone="UTC"\nreceivers=["ops"]\n'
        )
        up = Up(data, ["--trucks", "0", "--shoppers", "0", "--config", str(tmp_path / "milepost.toml")])
        up.start()
        until(lambda: len(server.messages) == 2)
        up.end()
    [sent] = [message["report"] for message in server.messages.values() if "report" in message]
    [alert] = [message["alert"] for message in server.messages.values() if "alert" in message]
    assert (alert["rule"], alert["subject"]) == ("quality_failed", "speedy")
    assert alert["start"] == "2026-01-01T00:00:00.000Z"
    assert alert["evidence"] == "telemetry: 30 of 400 rows, more than 5%"
    assert (sent["from"], sent["to"]) == (timestamps.from_ms(until_ms), timestamps.from_ms(until_ms + 3 * day_ms))
    assert sent["csv"].split() == ["day,truck_id", *(f"{day},T1" for day in days)]


def test_a_zone_that_is_drawn_while_it_runs_is_watched_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    up = Up(tmp_path, ["--trucks", "0", "--shoppers", "0"])
    place = f"{up.start()['http']}/api/v1/zones/yard"
    times = [timestamps.from_ms(int((time.time() - minutes * 60) * 1000)) for minutes in range(300, 0, -9)]
    where = {"latitude": 52.1, "longitude": 13.1}
    records = [{"truck_id": "T1", "sampled_at": at, "gps_location": where} for at in times]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, records)))
    assert up.ask("ingest", str(tmp_path / "some.jsonl"))["accepted"] == len(times)

    def entered() -> list[tuple[str, bool]]:
        found = up.ask("alerts", "list")
        return [(each["start"], each["end"] is None) for each in found if each["rule"] == "zone_entered"]

    assert entered() == []
    corners = [[13.0, 52.0], [13.2, 52.0], [13.1, 52.2]]
    assert httpx.put(place, json={"corners": corners}, headers={"X-Milepost": "t"}, timeout=60).status_code == 204
    until(lambda: entered() == [(times[0], True)])
    assert httpx.delete(place, headers={"X-Milepost": "t"}, timeout=60).status_code == 204
    until(lambda: entered() == [])
    assert "zones_not_read" not in up.end()
