"""The mark beside the buffer, and the samples that it keeps."""

import fcntl
import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.buffer.high_water_mark import SECTOR, Found, Mark, MarkFile, find
from agent.buffer.sample_rows import SampleRow
from contract.ranges import Ranges


def _sample(seq: int, size: int = 700) -> SampleRow:
    return SampleRow(seq, (f'{{"seq":{seq},"text":"' + "x" * size + '"}').encode(), "boot", seq * 1000, 1, None)


def _read(path: Path) -> Found:
    return find(path.read_bytes(), "T1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a mark file."""
    return tmp_path / "mark"


def test_the_last_mark_is_read_back(path: Path) -> None:
    file = MarkFile(path, "T1")
    assert file.mark is None
    for seq in range(1, 6):
        file.write(Mark("stream", seq))
    file.close()
    assert MarkFile(path, "T1").mark == Mark("stream", 5)


@pytest.mark.parametrize("size", [None, 700, 5000])
def test_a_torn_write_leaves_the_mark_before_it(path: Path, size: int | None) -> None:
    """Whichever byte the power cut leaves half-written, what was synced before still stands."""
    file = MarkFile(path, "T1")
    file.write(Mark("stream", 7), _sample(7))
    before = path.read_bytes()
    file.write(Mark("stream", 8), None if size is None else _sample(8, size))
    file.close()
    after = path.read_bytes()
    for cut in range(0, 15 * SECTOR, 32):
        path.write_bytes(after[:cut] + before[cut:])
        torn = _read(path)
        assert torn.mark in (Mark("stream", 7), Mark("stream", 8))
        assert torn.newest[0] == _sample(7)
        assert not torn.doubtful or cut % SECTOR  # a sector that is half of each is damage; no disk leaves one


def test_garbage_is_no_mark(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)
    assert MarkFile(path, "T1").mark is None


def test_samples_are_kept_from_beginning_to_end_and_from_the_beginning_again(path: Path) -> None:
    file = MarkFile(path, "T1")
    stored = 0
    for seq in range(1, 250):
        sample = _sample(seq, seq * 7 % 3000)
        if not file.has_room(sample):
            stored = seq - 1  # the buffer file has them from now on
        file.write(Mark("stream", seq, stored=stored, sent=Ranges.of([(stored, seq - 1)]), sent_at="now"), sample)
        if seq % 50 == 0:
            file.close()
            file = MarkFile(path, "T1")
        found = _read(path)
        assert found.mark == file.mark
        assert [row.seq for row in found.newest] == list(range(stored + 1, seq + 1))
        assert found.newest[-1] == sample
    assert stored
    file.close()


def test_what_is_too_large_is_not_taken(path: Path) -> None:
    file = MarkFile(path, "T1")
    assert file.takes(_sample(1, 10_000))
    assert not file.takes(_sample(1, 20_000))
    file.close()


def test_a_mark_of_version_0_1_is_read_and_goes_on(path: Path) -> None:
    def slot(turn: int, highest: int) -> bytes:
        text = json.dumps({"turn": turn, "stream_id": "stream", "highest_seq": highest, "oldest": 3})
        return f"{zlib.crc32(text.encode()):08x} {text}".ljust(SECTOR - 1).encode() + b"\n"

    path.write_bytes(slot(8, 70) + slot(7, 69))
    file = MarkFile(path, "T1")
    assert not file.found.doubtful
    assert file.mark == Mark("stream", 70, 3, stored=70)
    file.write(Mark("stream", 71, stored=70), _sample(71))
    file.close()
    found = _read(path)
    assert (found.mark, found.newest) == (Mark("stream", 71, stored=70), [_sample(71)])


def test_a_flipped_bit_costs_the_sample_that_it_is_in(path: Path) -> None:
    file = MarkFile(path, "T1")
    for seq in range(1, 11):
        file.write(Mark("stream", seq), _sample(seq))
    file.close()
    whole = path.read_bytes()
    for at in range(0, 20 * SECTOR, 331):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        found = _read(path)
        assert found.damaged == [at // SECTOR]
        assert found.doubtful == (at // (2 * SECTOR) == 9)  # of the newest nobody else knows
        assert {row.seq for row in found.newest} == set(range(1, 11)) - {at // (2 * SECTOR) + 1}


def test_what_is_older_than_an_instant_is_wiped(path: Path) -> None:
    file = MarkFile(path, "T1")
    for seq in range(1, 6):
        body = json.dumps({"sampled_at": f"2026-01-0{seq}T12:00:00.000Z", "gps_location": f"place {seq}" + "x" * 600})
        file.write(Mark("stream", seq), SampleRow(seq, body.encode(), None, None, 0, None))
    file.write(Mark("stream", 5, stored=5))
    file.wipe("2026-01-04T00:00:00.000Z")
    file.close()
    said = path.read_bytes()
    assert [f"place {seq}".encode() in said for seq in range(1, 6)] == [False] * 3 + [True] * 2
    assert _read(path).mark == Mark("stream", 5, stored=5)
    assert not _read(path).damaged


@pytest.fixture
def large_sectors(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with sectors of 4 KB."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    folder.mkdir()
    device = _root("losetup", "--sector-size", "4096", "--find", "--show", str(image))
    try:
        _root("mkfs.ext4", "-q", "-b", "4096", device)
        _root("mount", device, str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        subprocess.run(["losetup", "-d", device], check=False)


def _root(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    if done.returncode:
        pytest.skip(f"no disk of its own can be made here: {done.stderr.strip()}")
    return done.stdout.strip()


def test_a_disk_with_larger_sectors_is_written_through_the_page_cache(large_sectors: Path) -> None:
    path = large_sectors / "mark"
    file = MarkFile(path, "T1")
    assert fcntl.fcntl(file._file, fcntl.F_GETFL) & os.O_DIRECT
    for seq in range(1, 100):
        file.write(Mark("stream", seq, stored=seq - 1), _sample(seq))
    assert not fcntl.fcntl(file._file, fcntl.F_GETFL) & os.O_DIRECT
    found = _read(path)
    assert (found.mark, found.newest) == (file.mark, [_sample(99)])
    file.close()
