"""The mark beside the buffer."""

from pathlib import Path

from agent.buffer.high_water_mark import Mark, MarkFile


def test_the_last_mark_is_read_back(tmp_path: Path) -> None:
    file = MarkFile(tmp_path / "mark")
    assert file.mark is None
    for seq in range(1, 6):
        file.write(Mark("stream", seq))
    file.close()
    assert MarkFile(tmp_path / "mark").mark == Mark("stream", 5)


def test_a_torn_write_leaves_the_mark_before_it(tmp_path: Path) -> None:
    """Whichever byte the power cut leaves half-written, the other slot still stands."""
    path = tmp_path / "mark"
    file = MarkFile(path)
    file.write(Mark("stream", 7))
    before = path.read_bytes().ljust(1024, b"\0")
    file.write(Mark("stream", 8))
    file.close()
    after = path.read_bytes().ljust(1024, b"\0")
    for cut in range(0, 1024, 16):
        path.write_bytes(after[:cut] + before[cut:])
        torn = MarkFile(path)
        assert torn.mark in (Mark("stream", 7), Mark("stream", 8))
        torn.close()


def test_garbage_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "mark").write_bytes(bytes(range(256)) * 4)
    assert MarkFile(tmp_path / "mark").mark is None
