"""Several real `milepost ingest` on one store, and killed ones: the same history, and counters that are exact."""

import json
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from collector import queries
from collector.stores.factory import open_reader
from contract import timestamps
from tests import milepost_here as here
from tests.collector.drives import TRACK, drives
from tests.collector.stores_on_disk import without_load_times
from tests.contract.examples import click
from tests.milepost_process import finish, run, start

ROWS = 2_000
EVENTS = 2_000


def _write(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def _ingest(folder: Path, *files: Path, stream: str = "telemetry") -> dict[str, int]:
    ran = run("ingest", "--stream", stream, "--data-dir", folder, *files, MILEPOST_TRACK=TRACK)
    assert ran.code == 0, ran.err
    counts: dict[str, int] = json.loads(ran.out.splitlines()[-1])
    return counts


def _histories(folder: Path) -> dict[str, Any]:
    reader = open_reader(f"sqlite:///{folder / 'milepost.db'}")
    assert reader
    found = {truck: without_load_times(queries.history(reader, truck)) for truck in reader.truck_ids()}
    reader.close()
    return found


def _check_whole(folder: Path, rows: int) -> None:
    """Nothing missing, nothing twice, and all that is derived is right."""
    audit = here.run("audit", "--data-dir", folder, "--json")
    assert (audit.code, audit.json["lost"]) == (0, 0), audit.out
    assert sum(row["received"] for row in audit.json["trucks"]) == rows
    assert not [row for row in audit.json["trucks"] if row["holes"] or row["conflicts"]]
    verified = here.run("verify", "--data-dir", folder, "--json", MILEPOST_TRACK=TRACK)
    assert (verified.code, verified.json) == (0, []), verified.err


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return drives(ROWS)


@pytest.fixture(scope="module")
def expected(records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The histories of one clean run."""
    folder = tmp_path_factory.mktemp("clean")
    counts = _ingest(folder, _write(folder / "drives.jsonl", records))
    assert counts == {"accepted": len(records), "duplicate": 0, "rejected": 0}
    histories = _histories(folder)
    assert all(len(rows) > 10 for rows in histories.values())
    return histories


def test_the_same_file_again_is_all_duplicate(records: list[dict[str, Any]], expected: Any, tmp_path: Path) -> None:
    path = _write(tmp_path / "drives.jsonl", records)
    _ingest(tmp_path, path)
    assert _ingest(tmp_path, path, path) == {"accepted": 0, "duplicate": 2 * len(records), "rejected": 0}
    assert _histories(tmp_path) == expected


def test_shuffled_pieces_by_two_processes_at_once(records: list[dict[str, Any]], expected: Any, tmp_path: Path) -> None:
    """Both make the store, both take all of it, each in an order of its own."""
    chance = random.Random(7)
    running = []
    for worker in range(2):
        shuffled = chance.sample(records, len(records))
        third = len(shuffled) // 3
        pieces = [shuffled[:third], shuffled[third : 2 * third], shuffled[2 * third :]]
        paths = [_write(tmp_path / f"{worker}-{number}.jsonl", piece) for number, piece in enumerate(pieces)]
        running.append(start("ingest", "--data-dir", tmp_path, *paths, MILEPOST_TRACK=TRACK))
    done = [finish(process) for process in running]
    assert [ran.code for ran in done] == [0, 0], done
    counts = [json.loads(ran.out.splitlines()[-1]) for ran in done]
    assert sum(each["accepted"] for each in counts) == len(records)
    assert sum(each["duplicate"] for each in counts) == len(records)
    assert _histories(tmp_path) == expected
    _check_whole(tmp_path, len(records))


def _kill_while_ingesting(folder: Path, arguments: Sequence[str | Path], chance: random.Random) -> bool:
    """SIGKILL somewhere between its start and its end; True if it was still at work."""
    database = folder / "milepost.db-wal"
    before = database.stat().st_size if database.exists() else 0
    process = start(*arguments, MILEPOST_TRACK=TRACK)
    deadline = time.monotonic() + 90
    while process.poll() is None and time.monotonic() < deadline:
        if database.exists() and database.stat().st_size > before + chance.randrange(400_000):
            break
        time.sleep(0.002)
    time.sleep(chance.random() * 0.05)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.prove)])
def test_killed_in_the_middle_and_run_again(
    records: list[dict[str, Any]], expected: Any, tmp_path: Path, kills: int
) -> None:
    chance = random.Random(kills)
    path = _write(tmp_path / "drives.jsonl", chance.sample(records, len(records)))
    killed = [_kill_while_ingesting(tmp_path, ["ingest", "--data-dir", tmp_path, path], chance) for _ in range(kills)]
    assert any(killed)
    counts = _ingest(tmp_path, path)
    assert counts["accepted"] + counts["duplicate"] == len(records)
    assert _histories(tmp_path) == expected
    _check_whole(tmp_path, len(records))


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.prove)])
def test_clicks_are_counted_once_through_kills_and_rivals(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    now = timestamps.from_ms(time.time_ns() // 1_000_000)
    events = [
        click(event_id=f"e{number}", item_id=f"I{number % 7}", click_count=number % 3, timestamp=now)
        for number in range(EVENTS)
    ]
    path = _write(tmp_path / "clicks.jsonl", events)
    command = ["ingest", "--stream", "clicks", "--data-dir", tmp_path, path]
    for _ in range(kills):
        _kill_while_ingesting(tmp_path, command, chance)
    rivals = [start(*command, MILEPOST_TRACK=TRACK) for _ in range(2)]
    assert [finish(process).code for process in rivals] == [0, 0]
    rows = here.run("clicks", "--data-dir", tmp_path, "--json").json
    tally: dict[str, int] = {}
    for event in events:
        tally[event["item_id"]] = tally.get(event["item_id"], 0) + event["click_count"]
    assert {row["item_id"]: row["count"] for row in rows} == tally
    assert here.run("verify", "--data-dir", tmp_path, "--json", MILEPOST_TRACK=TRACK).json == []


def test_reading_goes_on_while_another_writes(records: list[dict[str, Any]], tmp_path: Path) -> None:
    """Every history that a reader sees is whole: versions that follow on one another, one of them current."""
    path = _write(tmp_path / "drives.jsonl", records)
    process = start("ingest", "--data-dir", tmp_path, path, path, MILEPOST_TRACK=TRACK)
    seen = 0
    while process.poll() is None:
        reader = open_reader(f"sqlite:///{tmp_path / 'milepost.db'}")
        for truck in reader.truck_ids() if reader else ():
            rows = queries.history(reader, truck)
            ends = [row["effective_end_date"] for row in rows]
            assert ends == [*(row["effective_start_date"] for row in rows[1:]), None]
            seen += 1
        if reader:
            reader.close()
    assert finish(process).code == 0
    assert seen
