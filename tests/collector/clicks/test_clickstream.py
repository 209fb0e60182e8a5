"""A real shop's clickstream through HTTP by many clients at once, shuffled and doubled: each view is what DuckDB says.

The recording has no times within a day and no kinds of event, so both are made of its own columns: the first click of a
session is a page view, dear articles go into the cart, a long session ends with a purchase; now and then somebody is
away for longer than a session lasts.
"""

import csv
import gzip
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from collector import queries
from collector.stores.sqlite.reader import SqliteReader
from contract import timestamps
from tests.milepost_process import REPOSITORY

RECORDING = Path(__file__).parents[2] / "recordings" / "web" / "eshop_clothing_2008_odd_sessions.csv.gz"
CLIENTS = 8


def recorded(most: int) -> Iterator[dict[str, Any]]:
    with gzip.open(RECORDING, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))[:most]
    last = {row["session ID"]: row["order"] for row in rows}
    for number, row in enumerate(rows):
        order, session = int(row["order"]), row["session ID"]
        kind = "page_view" if order == 1 else "add_to_cart" if row["price 2"] == "1" and order % 3 == 0 else "view"
        if row["order"] == last[session] and order > 7:
            kind = "purchase"
        day = timestamps.to_ms(f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}T08:00:00.000Z")
        at = day + int(session) % 600 * 60_000 + order * 20_000 + (order // 9) * 31 * 60_000
        yield {
            "event_id": f"e{number}",
            "event_type": kind,
            "timestamp": timestamps.from_ms(at),
            "session_id": session if int(session) % 25 else None,
            "page": f"https://shop.example/{row['page']}",
            "item_id": row["page 2 (clothing model)"],
            "order_id": f"o{session}" if kind == "purchase" else None,
            "click_count": 1 + number % 3,
        }


@pytest.fixture
def beacon(tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "tests.collector.beacon.beacon_process", str(port), str(tmp_path)]
    process = subprocess.Popen(argv, cwd=REPOSITORY)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/healthz", trust_env=False, timeout=60)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


def replay(url: str, events: list[dict[str, Any]], seed: int) -> dict[str, int]:
    """All events twice, in any order, in batches of any size, by CLIENTS threads; what the receipts said."""
    dice = random.Random(seed)
    twice = dice.sample(events * 2, len(events) * 2)
    batches = []
    while twice:
        size = dice.randint(1, 50)
        batches.append(twice[:size])
        twice = twice[size:]
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    lock = threading.Lock()

    def client(mine: list[list[dict[str, Any]]]) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            for batch in mine:
                for receipt in http.post("/v1/clicks", json={"events": batch}).raise_for_status().json()["receipts"]:
                    with lock:
                        counts[receipt["status"]] += 1

    threads = [threading.Thread(target=client, args=(batches[place::CLIENTS],)) for place in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


SESSIONS = """
    CREATE VIEW ordered AS SELECT *, row_number() OVER w AS place,
        lag(moment) OVER w AS before FROM event WHERE session_id IS NOT NULL
        WINDOW w AS (PARTITION BY session_id ORDER BY moment, step, event_id);
    CREATE VIEW split AS SELECT *,
        1 + sum(CASE WHEN moment - before > INTERVAL 30 MINUTE THEN 1 ELSE 0 END)
        OVER (PARTITION BY session_id ORDER BY place) AS part FROM ordered;
    CREATE VIEW named AS SELECT *,
        session_id || CASE WHEN part = 1 THEN '' ELSE '.' || part::INT END AS name FROM split;
    CREATE VIEW one AS SELECT name, min(place) AS place FROM named WHERE event_type = 'page_view' GROUP BY 1;
    CREATE VIEW two AS SELECT n.name, min(n.place) AS place FROM named n JOIN one USING (name)
        WHERE event_type = 'view' AND n.place > one.place GROUP BY 1;
    CREATE VIEW three AS SELECT n.name, min(n.place) AS place FROM named n JOIN two USING (name)
        WHERE event_type = 'add_to_cart' AND n.place > two.place GROUP BY 1;
    CREATE VIEW four AS SELECT n.name, min(n.place) AS place FROM named n JOIN three USING (name)
        WHERE event_type = 'purchase' AND n.place > three.place GROUP BY 1"""
VIEWS = {
    "item": "SELECT item_id, NULL AS item_name, event_type, sum(click_count)::INT AS count FROM event GROUP BY ALL",
    "minute": """SELECT strftime(date_trunc('minute', moment), '%Y-%m-%dT%H:%M:00.000Z') AS minute, item_id,
        event_type, sum(click_count)::INT AS count FROM event GROUP BY ALL""",
    "page": "SELECT page, event_type, sum(click_count)::INT AS count FROM event GROUP BY ALL",
    "session": """SELECT name AS session_id, min(timestamp) AS first, max(timestamp) AS last, count(*)::INT AS events,
        sum(click_count)::INT AS count, count(DISTINCT order_id)::INT AS purchases FROM named GROUP BY 1""",
    "funnel": """SELECT 'page_view' AS step, count(*)::INT AS sessions FROM one
        UNION ALL SELECT 'view', count(*) FROM two
        UNION ALL SELECT 'add_to_cart', count(*) FROM three UNION ALL SELECT 'purchase', count(*) FROM four
        UNION ALL SELECT 'unattributed', count(*) FROM event WHERE session_id IS NULL""",
}


@pytest.mark.parametrize("most", [1_500, pytest.param(10**9, marks=pytest.mark.prove)])
def test_each_view_is_what_duckdb_says_of_the_file(beacon: str, tmp_path: Path, most: int) -> None:
    events = list(recorded(most))
    file = tmp_path / "clicks.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    counts = replay(beacon, events, seed=1)
    assert counts == {"accepted": len(events), "duplicate": len(events), "rejected": 0}
    with closing(duckdb.connect()) as duck:
        duck.execute("SET TimeZone = 'UTC'")
        steps = "CASE event_type WHEN 'page_view' THEN 0 WHEN 'view' THEN 1 WHEN 'add_to_cart' THEN 2 ELSE 3 END"
        duck.execute(
            "CREATE TABLE event AS SELECT * REPLACE (timestamp::VARCHAR AS timestamp), timestamp::TIMESTAMP AS moment,"
            f" {steps} AS step FROM read_json(?, columns = {{event_id: 'VARCHAR', event_type: 'VARCHAR',"
            " timestamp: 'VARCHAR', session_id: 'VARCHAR', page: 'VARCHAR', item_id: 'VARCHAR', order_id: 'VARCHAR',"
            " click_count: 'INT'})",
            [str(file)],
        )
        duck.execute(SESSIONS)
        reader = SqliteReader(tmp_path / "milepost.db")
        for view, sql in VIEWS.items():
            columns = [name for name, *_ in duck.execute(sql).description or ()]
            expected = duck.execute(sql).fetchall()
            found = [tuple(row[name] for name in columns) for row in queries.clicks(reader, view)]
            assert sorted(map(str, found)) == sorted(map(str, expected)), view
            assert len(expected) > 4, "the recording fills every view"
        depths = [row["sessions"] for row in queries.clicks(reader, "funnel")]
        assert all(depths), depths
        reader.close()
