"""Bytes written to the disk for each sample: what wears out a truck's card.

    python -m benchmarks.flash_wear [--samples 1440] [--json]

A day at one sample a minute, stored, sent and marked as sent one by one as a connected truck does it; then pruned. Two
views of the same run: what the process wrote (bytes handed to write calls, counted with strace's eyes by the kernel as
`wchar`), and what reached the block layer (`write_bytes`), which is more because a file system writes whole blocks, and
0 where the folder is on a memory disk. In one go, where what is not synced waits for the next sample's sync; and a
minute apart, where the kernel has written it before: by an fsync of every file after each sample. Against: the same
samples appended to a text file with an fsync each, which is the simplest durable store. Aim: on the
disk ≤ 8 × the sample's bytes.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from agent.buffer.sqlite import SqliteBuffer
from benchmarks.drain import DOCUMENT
from contract import timestamps

FIRST_MS = 1_769_860_801_000
AIM = 8


def main() -> int:
    """Measure and print a table, or JSON; 1 if the aim is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1440)
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write: the disk that counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flash-wear-", dir=options.folder) as name:
        agent = _written(lambda: _buffer(Path(name) / "b.db", options.samples))
        apart = _written(lambda: _buffer(Path(name) / "apart.db", options.samples, flush=True))
        plain = _written(lambda: _plain(Path(name) / "plain", options.samples))
    figures = {
        "sample_bytes": len(json.dumps(DOCUMENT)),
        **{f"{view}_per_sample": round(agent[view] / options.samples) for view in agent},
        **{f"apart_{view}_per_sample": round(apart[view] / options.samples) for view in apart},
        **{f"plain_{view}_per_sample": round(plain[view] / options.samples) for view in plain},
        "MB_per_day_at_one_a_minute": round(apart["disk"] / options.samples * 1440 / 1e6, 1),
    }
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"{options.samples} samples of about {figures['sample_bytes']} bytes; bytes written for each")
    print(f"{'':28}{'written':>10}{'on disk':>10}")
    for label, which in (
        ("the agent buffer, in one go", ""),
        ("the same, a minute apart", "apart_"),
        ("a text file, fsync each", "plain_"),
    ):
        print(f"{label:28}{figures[f'{which}process_per_sample']:>10}{figures[f'{which}disk_per_sample']:>10}")
    print(f"a day at one sample a minute: {figures['MB_per_day_at_one_a_minute']} MB on disk")
    once, apart_ratio = (figures[f"{which}disk_per_sample"] / figures["sample_bytes"] for which in ("", "apart_"))
    print(f"on disk: {once:.1f} × the sample's bytes in one go, {apart_ratio:.1f} × a minute apart (aim ≤ {AIM})")
    return 0 if max(once, apart_ratio) <= AIM else 1


def _buffer(path: Path, count: int, *, flush: bool = False) -> None:
    now = [0.0]
    with SqliteBuffer(path, "BENCH", monotonic=lambda: now[0]) as buffer:
        for number in range(count):
            buffer.mark_sent([buffer.append(DOCUMENT).seq], at=timestamps.from_ms(FIRST_MS + 60_000 * number))
            if flush:
                for each in path.parent.glob(f"{path.name}*"):
                    _flush(each)
            now[0] += 60
            if number % 60 == 59:
                buffer.prune()


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def _plain(path: Path, count: int) -> None:
    line = json.dumps(DOCUMENT).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            file.write(line)
            os.fsync(file.fileno())


def _written(act: Callable[[], None]) -> dict[str, int]:
    before = _counters()
    act()
    os.sync()
    after = _counters()
    return {"process": after["wchar"] - before["wchar"], "disk": after["write_bytes"] - before["write_bytes"]}


def _counters() -> dict[str, int]:
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return {key: int(value) for key, value in (line.split(": ") for line in text.splitlines())}


if __name__ == "__main__":
    sys.exit(main())
