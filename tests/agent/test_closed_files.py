"""What a gateway keeps of where its truck was is closed to others."""

import os
import stat
from pathlib import Path

from tests.agent.process import Process
from tests.waiting import until


def test_the_buffer_and_all_beside_it_are_closed_to_others_whatever_the_shell_asks_for(tmp_path: Path) -> None:
    """While it runs, with SQLite's files beside it, and when it has ended; also the folder that it makes."""
    agent = Process(tmp_path / "gateway", "mqtt://127.0.0.1:1")
    spool = agent.folder / "spool"
    agent.buffer = spool / "buffer.db"
    agent.configure(0.02)
    before = os.umask(0o022)
    try:
        agent.start()
    finally:
        os.umask(before)
    try:
        until(lambda: (seen := agent.glance()) and seen.pending > 5)
        assert_closed(spool)
    finally:
        agent.terminate()
    assert_closed(spool)


def assert_closed(spool: Path) -> None:
    found = [spool, *spool.rglob("*")]
    assert len(found) > 1
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in found}
    assert modes == {path.name: 0o700 if path.is_dir() else 0o600 for path in found}
