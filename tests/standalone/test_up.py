"""`milepost up` as its users and scripts see it: ready, one at a time, clean at the end, readable meanwhile."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.standalone.up import MILEPOST, Up

QUIET = ["--trucks", "0", "--shoppers", "0"]


def _run(*command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MILEPOST, *command], capture_output=True, check=False, timeout=60, env={**os.environ, **environment}
    )


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except FileNotFoundError:
        return False


def test_a_run_with_an_end_balances_and_exits_0(up: Up) -> None:
    up.start("--trucks", "2", "--shoppers", "1", "--minutes", "0.2", "--speedup", "60")
    code, summary = up.finish()
    assert code == 0
    assert [row["truck_id"] for row in summary["trucks"]] == ["TRUCK-001", "TRUCK-002"]
    for row in summary["trucks"]:
        assert row["sampled"] == row["stored"] > 0
        assert row["dead_lettered"] == row["holes"] == row["counted_twice"] == 0
    assert summary["clicks"]["sent"] == summary["clicks"]["counted"] > 0
    assert up.ready() is None


def test_simulated_time_ends_at_now(up: Up) -> None:
    up.start("--trucks", "1", "--shoppers", "0", "--minutes", "0.1", "--speedup", "600")
    up.finish()
    newest = up.ask("trucks")[0]["latest"]["sampled_at"]
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 3600))
    assert hour_ago < newest <= now


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(up: Up, number: int) -> None:
    ready = up.start("--trucks", "2", "--shoppers", "1", "--speedup", "60")
    time.sleep(1)
    assert up.process
    up.process.send_signal(number)
    code, _ = up.finish()
    assert code == 0
    assert up.ready() is None
    assert not _alive(ready["broker_pid"])


def test_its_children_die_with_it(up: Up) -> None:
    ready = up.start("--trucks", "2", "--shoppers", "1")
    children = [entry["pid"] for entry in json.loads((up.folder / "children.json").read_text())["children"]]
    assert ready["broker_pid"] in children
    up.kill()
    deadline = time.monotonic() + 60
    while any(map(_alive, children)):
        assert time.monotonic() < deadline, "a child outlived milepost up"
        time.sleep(0.05)


def test_a_second_one_on_the_same_directory_exits_2(up: Up) -> None:
    up.start(*QUIET)
    second = _run("up", *QUIET, "--port", "0", "--data-dir", str(up.folder))
    assert second.returncode == 2
    assert str(up.process.pid if up.process else 0) in second.stderr.decode()
    assert up.ready() is not None


def test_a_taken_port_exits_2_and_names_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _run("up", *QUIET, "--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "--port" in done.stderr.decode()


def test_no_mosquitto_exits_3_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """Seen in a namespace of paths where there is none: PATH is empty and the usual places are not looked at."""
    code = (
        "import standalone.mosquitto_supervisor, milepost, sys; standalone.mosquitto_supervisor._SYSTEM_PATH = ();"
        f"sys.argv = ['milepost', 'up', '--port', '0', '--data-dir', {str(tmp_path)!r}]; milepost.main()"
    )
    done = subprocess.run(
        [MILEPOST[0], "-c", code], capture_output=True, check=False, timeout=60, env={"PATH": str(tmp_path)}
    )
    assert done.returncode == 3, done.stderr.decode()
    assert "apt-get install" in done.stderr.decode()


def test_a_broker_that_is_not_there_exits_3(tmp_path: Path) -> None:
    done = _run("up", *QUIET, "--port", "0", "--data-dir", str(tmp_path), "--broker", "mqtt://127.0.0.1:1")
    assert done.returncode == 3
    assert "mqtt://127.0.0.1:1" in done.stderr.decode()


def test_another_broker_serves_as_well(up: Up, tmp_path: Path) -> None:
    other = Up(tmp_path / "other")
    ready = other.start(*QUIET)
    up.start("--trucks", "1", "--shoppers", "0", "--minutes", "0.05", "--speedup", "60", "--broker", ready["mqtt"])
    ready_here = up.ready()
    code, summary = up.finish()
    other.kill()
    assert ready_here is not None
    assert ready_here["broker_pid"] is None
    assert (code, summary["trucks"][0]["holes"]) == (0, 0)


def test_ingest_and_queries_work_while_it_runs(up: Up, tmp_path: Path) -> None:
    up.start("--trucks", "1", "--shoppers", "0", "--speedup", "600")
    file = tmp_path / "old.jsonl"
    file.write_text('{"truck_id":"OLD-1","timestamp":"2024-05-01T10:00:00","vehicle_speed":50}\n')
    assert up.ask("ingest", str(file)) == {"accepted": 1, "duplicate": 0, "rejected": 0}
    assert "OLD-1" in [row["truck_id"] for row in up.ask("trucks")]


def test_another_track_policy_is_refused_until_rebuild(up: Up) -> None:
    up.start("--trucks", "1", "--shoppers", "0", "--minutes", "0.05", "--speedup", "600")
    up.finish()
    track = '{"odometer_reading":{"step":1}}'
    options = ["--data-dir", str(up.folder)]
    refused = _run("up", *QUIET, "--port", "0", *options, MILEPOST_TRACK=track)
    assert refused.returncode == 2
    assert "milepost rebuild" in refused.stderr.decode()
    assert _run("rebuild", *options, MILEPOST_TRACK=track).returncode == 0
    assert _run("verify", *options, MILEPOST_TRACK=track).returncode == 0


def test_http_answers_only_what_is_stored(up: Up) -> None:
    """A receipt of `accepted` is in the history even if the next instant is a SIGKILL."""
    ready = up.start(*QUIET)
    body = {"truck_id": "H-1", "sampled_at": "2026-01-01T00:00:00Z", "vehicle_speed": 1}
    answer = httpx.post(f"{ready['http']}/v1/telemetry", json=body, timeout=60)
    up.kill()
    assert answer.json()["receipts"][0]["status"] == "accepted"
    assert len(up.ask("history", "H-1")) == 1


def test_a_folder_of_the_caller_that_is_named_like_a_room_is_not_imported(up: Up, tmp_path: Path) -> None:
    """The children import the installed Milepost, not `agent/` of whoever starts it."""
    here = tmp_path / "work"
    for room in ("agent", "simulator", "contract"):
        (here / room).mkdir(parents=True)
        (here / room / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    code = "import sys, milepost; sys.argv[0] = 'milepost'; milepost.main()"
    options = ["--port", "0", "--trucks", "1", "--shoppers", "1", "--minutes", "0.1", "--speedup", "60", "--json"]
    done = subprocess.run(
        [MILEPOST[0], "-P", "-c", code, "up", "--data-dir", str(up.folder), *options],
        cwd=here,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["simulation"]["trucks"]["restarts"] == 0


def test_trucks_that_were_asked_for_and_never_ran_are_no_balance(up: Up) -> None:
    """Their process dies at once, each time: nothing was sampled, so nothing is missing, and it is no success."""
    up.folder.mkdir(parents=True, exist_ok=True)
    (up.folder / "trucks").write_text("a file where the trucks' folder should be")
    up.start("--trucks", "2", "--shoppers", "1", "--minutes", "0.05")
    code, summary = up.finish()
    assert code == 1
    trucks = summary["simulation"]["trucks"]
    assert (trucks["asked"], trucks["ran"]) == (2, 0)
    assert trucks["restarts"] > 0
    assert summary["simulation"]["shoppers"] == {
        "asked": 1,
        "ran": 1,
        "restarts": 0,
        "log": str(up.folder / "shoppers.log"),
    }
