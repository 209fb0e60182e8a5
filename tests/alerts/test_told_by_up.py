"""Alerts at a running `milepost up`: told once over a kill and a receiver that was down, acknowledged, and over."""

import json
import time
from pathlib import Path

from contract import timestamps
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
