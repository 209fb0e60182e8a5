"""Real processes: they die with their parent, orphans are reaped, and a data directory has one owner."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.errors import Misconfigured
from standalone import child_processes
from standalone.child_processes import Child, Children, lock, reap, trim
from tests.waiting import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Says so when it is ready to ignore SIGTERM.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]

# A parent that locks FOLDER, starts the children given as JSON, prints their pids and waits to be killed.
PARENT = """
import json, sys, time
from pathlib import Path
from standalone.child_processes import Children, lock
folder = Path(sys.argv[1])
held = lock(folder)
family = Children(folder)
spawned = [family.spawn(argv, name=f"c{n}", log=folder / f"{n}.log") for n, argv in enumerate(json.loads(sys.argv[2]))]
print(json.dumps([child.pid for child in spawned]), flush=True)
time.sleep(60)
"""


def runs(pid: int) -> bool:
    return child_processes._started(pid) is not None


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Children]:
    family = Children(tmp_path)
    yield family
    family.stop(0.5)


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[int]]]]:
    """Starts a parent process of the given programs; returns it and its children's pids."""
    started: list[subprocess.Popen[str]] = []
    pids: list[int] = []

    def start(*programs: list[str]) -> tuple[subprocess.Popen[str], list[int]]:
        argv = [sys.executable, "-c", PARENT, str(tmp_path), json.dumps(programs)]
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, cwd=Path(child_processes.__file__).parents[1]
        )
        started.append(process)
        assert process.stdout
        found = json.loads(process.stdout.readline())
        pids.extend(found)
        return process, found

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in filter(runs, pids):
        os.kill(pid, signal.SIGKILL)


def test_a_child_runs_logs_and_stops(family: Children, tmp_path: Path) -> None:
    log = tmp_path / "talker.log"
    talker = "import sys, time; print('out'); print('err', file=sys.stderr, flush=True); time.sleep(60)"
    child = family.spawn([sys.executable, "-u", "-c", talker], name="talker", log=log)
    until(lambda: log.exists() and log.read_text().splitlines() == ["out", "err"])
    assert child.alive
    assert child.stop() == -signal.SIGTERM
    assert not child.alive
    assert child.returncode == -signal.SIGTERM


def test_a_child_has_no_input_no_open_files_of_ours_and_a_session_of_its_own(family: Children, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    log = tmp_path / "open.log"
    look = "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1], os.getsid(0) == os.getpid(), os.read(0, 1))"
    family.spawn([sys.executable, "-c", look], name="look", log=log).wait(10)
    os.close(reading)
    os.close(writing)
    assert log.read_text() == "['0', '1', '2'] True b''\n"


def test_an_unknown_program_is_named(family: Children) -> None:
    with pytest.raises(Misconfigured, match="no-such-program"):
        family.spawn(["no-such-program"], name="none")


def test_a_child_outlives_the_thread_that_asked_for_it(family: Children) -> None:
    """The kernel sends the death signal when the forking thread ends, not the process: so that thread never ends."""
    spawned: list[Child] = []
    thread = threading.Thread(target=lambda: spawned.append(family.spawn(SLEEP, name="sleep")))
    thread.start()
    thread.join()
    assert spawned[0].wait(0.3) is None


def test_a_child_that_ignores_sigterm_is_killed_after_the_deadline(family: Children, tmp_path: Path) -> None:
    child = family.spawn(STUBBORN, name="stubborn", log=tmp_path / "log")
    until(lambda: (tmp_path / "log").read_text())
    assert child.stop(0.2) == -signal.SIGKILL


def test_all_are_stopped_at_once_and_the_record_goes(family: Children, tmp_path: Path) -> None:
    for number in range(3):
        family.spawn(STUBBORN, name=f"s{number}", log=tmp_path / f"{number}.log")
    until(lambda: all((tmp_path / f"{number}.log").read_text() for number in range(3)))
    assert len(json.loads((tmp_path / "children.json").read_text())["children"]) == 3
    started = time.monotonic()
    family.stop(0.5)
    assert time.monotonic() - started < 3 * 0.5
    assert family.alive == []
    assert not (tmp_path / "children.json").exists()


def test_the_record_names_only_who_lives(family: Children, tmp_path: Path) -> None:
    family.spawn(SLEEP, name="first").stop()
    second = family.spawn(SLEEP, name="second")
    (entry,) = json.loads((tmp_path / "children.json").read_text())["children"]
    assert (entry["name"], entry["pid"]) == ("second", second.pid)


def test_children_die_with_a_parent_that_was_killed(
    parent: Callable[..., tuple[subprocess.Popen[str], list[int]]],
) -> None:
    process, pids = parent(SLEEP, SLEEP)
    assert all(map(runs, pids))
    process.kill()
    process.wait()
    until(lambda: not any(map(runs, pids)))


def test_a_restart_reaps_the_orphan_that_ignored_its_death_signal(
    parent: Callable[..., tuple[subprocess.Popen[str], list[int]]], tmp_path: Path
) -> None:
    process, (deaf,) = parent(STUBBORN)
    until(lambda: (tmp_path / "0.log").read_text())
    process.kill()
    process.wait()
    assert runs(deaf)
    assert reap(tmp_path, seconds=0.2) == ["c0"]
    assert not runs(deaf)
    assert reap(tmp_path) == []


def test_a_recycled_pid_is_left_alone(family: Children, tmp_path: Path) -> None:
    child = family.spawn(SLEEP, name="bystander")
    for change in ({"started": child.entry["started"] - 1}, {"boot": "an earlier one"}):
        (tmp_path / "children.json").write_text(json.dumps({"children": [{**child.entry, **change}]}))
        assert reap(tmp_path) == []
    assert child.alive


@pytest.mark.parametrize("text", ["", "{", "[]", '{"children": [1]}', '{"children": [{"pid": "x"}]}'])
def test_a_damaged_record_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "children.json").write_text(text)
    assert reap(tmp_path) == []


def test_a_log_is_bounded_while_its_writer_goes_on(family: Children, tmp_path: Path) -> None:
    log = tmp_path / "chatty.log"
    chatty = "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    family.spawn([sys.executable, "-c", chatty], name="chatty", log=log)
    until(lambda: log.exists() and log.stat().st_size > 2000)
    trim(log, 2000)
    assert (tmp_path / "chatty.log.1").stat().st_size > 2000
    until(lambda: 0 < log.stat().st_size < 2000 and log.read_bytes().startswith(b"x"))


def test_a_second_owner_is_refused_by_pid_and_remedy(
    parent: Callable[..., tuple[subprocess.Popen[str], list[int]]], tmp_path: Path
) -> None:
    process, _ = parent()
    with pytest.raises(Misconfigured, match=f"in use by pid {process.pid}: .*--data-dir"):
        lock(tmp_path)


def test_a_killed_owner_leaves_the_directory_free_although_its_child_lives(
    parent: Callable[..., tuple[subprocess.Popen[str], list[int]]], tmp_path: Path
) -> None:
    process, (deaf,) = parent(STUBBORN)
    until(lambda: (tmp_path / "0.log").read_text())
    process.kill()
    process.wait()
    assert runs(deaf)
    lock(tmp_path).release()


def test_a_released_directory_may_be_locked_again(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "on the way"
    with lock(folder), pytest.raises(Misconfigured, match=str(os.getpid())):
        lock(folder)
    with lock(folder):
        pass


def test_a_folder_that_cannot_be_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match="--data-dir"):
        lock(tmp_path / "file" / "folder")
