"""A file that is written is whole or as before, whoever reads it, and whenever the writer is killed."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from contract import atomic_file

WRITER = """
import sys
from pathlib import Path
from contract import atomic_file
number = 0
while True:
    number += 1
    atomic_file.write(Path(sys.argv[1]), str(number % 10) * 200_000, mode=0o600, durable=False)
"""


def test_a_reader_sees_whole_files_however_often_the_writer_is_killed(tmp_path: Path) -> None:
    path, dice = tmp_path / "state", random.Random(1)
    seen = 0
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        until = time.monotonic() + 0.15 + dice.random() * 0.15
        while time.monotonic() < until:
            if path.exists():
                text = path.read_text()
                assert len(text) == 200_000
                assert text == text[0] * len(text)
                seen += 1
        writer.kill()
        writer.wait()
    assert seen > 20
    atomic_file.write(path, "the end")
    assert [each.name for each in tmp_path.iterdir()] == ["state"], "a draft of a killed writer was left"


def test_a_secret_is_never_open_to_others(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        atomic_file.write(tmp_path / "key", b"secret", mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_where_the_disk_refuses_the_old_content_stays(tmp_path: Path) -> None:
    """The name is a folder here, so that the last step fails."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "inside").write_text("old")
    with pytest.raises(OSError, match="state"):
        atomic_file.write(tmp_path / "state", "new")
    assert (tmp_path / "state" / "inside").read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_threads_may_write_the_same_file(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for _ in range(50):
                atomic_file.write(tmp_path / "state", str(number) * 1_000, durable=False)
        except BaseException as error:  # noqa: BLE001 - seen by the assertion
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len((tmp_path / "state").read_text()) == 1_000
