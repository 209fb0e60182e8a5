"""`make bench`: runs every figure, also after one has missed its aim, and writes what they said to RESULTS.md.

Each figure is a module of this folder that prints its lines and exits 1 where it misses its aim. Arguments name the
figures to run (default: all); only a run of all of them rewrites RESULTS.md. Exit 1 if any missed.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one figure printed, how it ended, and how many seconds it took."""

    name: str
    said: str
    code: int
    seconds: float

    @property
    def verdict(self) -> str:
        if self.code == 1 and "Traceback (most recent call last)" not in self.said:
            return "missed"
        return "met" if not self.code else f"failed (exit {self.code})"


def names() -> list[str]:
    """The figures, in the order of their names; a name that begins with _ is a part of others."""
    return sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def run(name: str) -> Outcome:
    """Run one figure as a process of its own and show its lines as they come."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", f"benchmarks.{name}"],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return Outcome(name, "".join(lines), process.wait(), time.monotonic() - began)


def report(outcomes: Sequence[Outcome]) -> str:
    """RESULTS.md: when, of which commit, on which machine; then each figure's own lines."""
    parts = [
        "# Results\n\nWritten by `make bench`; never edited by hand. Ratios are within one run, on one machine.\n",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {_machine()}.\n",
        "| figure | aim | seconds |\n|---|---|---|\n"
        + "".join(f"| {each.name} | {each.verdict} | {each.seconds:.0f} |\n" for each in outcomes),
    ]
    parts += [f"## {each.name}: {each.verdict}\n\n```\n{_short(each.said)}\n```\n" for each in outcomes]
    return "\n".join(parts)


def _short(said: str) -> str:
    """A figure's lines, without paths of this machine; of a traceback without end its last ones."""
    for folder in (HERE.parent, sys.prefix, sys.base_prefix):
        said = said.replace(f"{folder}/", "")
    lines = [line[:300] for line in said.rstrip().splitlines()]
    return "\n".join(lines if len(lines) <= 90 else ["…", *lines[-12:]])


def _commit() -> str:
    git = ["git", "-C", str(HERE.parent)]
    done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (done.stdout.strip() or "unknown") + (" with changes" if changed.stdout.strip() else "")


def _machine() -> str:
    cpu = next((line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")), "")
    memory = next(
        (line for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), "MemTotal: 0 kB"
    )
    gib = int(memory.split()[1]) / 1024**2
    model = cpu.partition(":")[2].strip() or platform.machine()
    return f"{os.cpu_count()} cores {model}, {gib:.0f} GiB, Python {platform.python_version()}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def main(chosen: Sequence[str]) -> int:
    """Run the chosen figures, or all."""
    known = names()
    if wrong := [name for name in chosen if name not in known]:
        print(f"no figure {', '.join(wrong)}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    outcomes = []
    for name in chosen or known:
        print(f"== {name}", flush=True)
        outcomes.append(run(name))
    if not chosen:
        RESULTS.write_text(report(outcomes), encoding="utf-8")
    missed = [each for each in outcomes if each.code]
    for each in missed:
        print(f"{each.name}: {each.verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
