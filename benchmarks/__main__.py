"""`make bench`: runs every figure, also after one has missed its aim, and writes what they said to RESULTS.md.

Each figure is a module of this folder that prints its lines and exits 1 where it misses its aim; one that has none says
so in a line that begins with "no aim". Arguments name the
figures to run (default: all); RESULTS.md keeps what the others said, with their date. Exit 1 if any missed.
"""

import io
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contract import leashed_process
from simulator.run_record import machine

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
        if self.code:
            return f"failed (exit {self.code})"
        return "no aim" if re.search("^no aim", self.said, re.MULTILINE) else "met"


def names() -> list[str]:
    """The figures, in the order of their names; a name that begins with _ is a part of others."""
    return sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def run(name: str) -> Outcome:
    """Run one figure as a process of its own and show its lines as they come."""
    began = time.monotonic()
    process = leashed_process.start(
        [sys.executable, "-u", "-m", f"benchmarks.{name}"],
        death_signal=signal.SIGKILL,
        folder=HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines = []
    assert process.stdout is not None
    for line in io.TextIOWrapper(process.stdout, "utf-8"):
        print(line, end="", flush=True)
        lines.append(line)
    return Outcome(name, "".join(lines), process.wait(), time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Section:
    """One figure as RESULTS.md has it: `facts` say when, of which commit, on which machine and for how long."""

    name: str
    verdict: str
    facts: str
    said: str

    @classmethod
    def of(cls, outcome: Outcome) -> "Section":
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}, {machine()}, {outcome.seconds:.0f} s"
        return cls(outcome.name, outcome.verdict, when, _short(outcome.said))


_SECTION = re.compile(r"^## (\w+): ([^\n]+)\n\n([^\n]+)\.\n\n```\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def read(text: str) -> dict[str, Section]:
    """The sections of a RESULTS.md that `report` wrote."""
    return {each[0]: Section(*each) for each in _SECTION.findall(text)}


def report(sections: Mapping[str, Section]) -> str:
    """RESULTS.md: a table of all, then each figure's own lines with its machine, date and commit."""
    ordered = [sections[name] for name in sorted(sections)]
    parts = [
        "# Results\n\nWritten by `make bench`; never edited by hand. Ratios are within one run, on one machine. A run"
        "\nof some figures replaces those and leaves the others with the date and commit they had.\n",
        "| figure | aim | measured |\n|---|---|---|\n"
        + "".join(f"| {each.name} | {each.verdict} | {each.facts.partition(', ')[0]} |\n" for each in ordered),
    ]
    parts += [f"## {each.name}: {each.verdict}\n\n{each.facts}.\n\n```\n{each.said}\n```\n" for each in ordered]
    return "\n".join(parts)


def _short(said: str) -> str:
    """A figure's lines, without paths of this machine and what librdkafka logs; of a traceback without end the last."""
    for folder in (HERE.parent, sys.prefix, sys.base_prefix):
        said = said.replace(f"{folder}/", "")
    lines = [line[:300] for line in said.rstrip().splitlines() if "rdkafka#" not in line]
    return "\n".join(lines if len(lines) <= 90 else ["…", *lines[-12:]])


def _commit() -> str:
    git = ["git", "-C", str(HERE.parent)]
    done = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    paths = ["--", ".", ":!benchmarks/RESULTS.md", ":!benchmarks/growth.svg"]
    changed = subprocess.run(
        [*git, "status", "--porcelain", "-uno", *paths], capture_output=True, text=True, check=False
    )
    return (done.stdout.strip() or "unknown") + (" with changes" if changed.stdout.strip() else "")


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
        before = read(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        kept = {each: section for each, section in before.items() if each in known}
        RESULTS.write_text(report(kept | {name: Section.of(outcomes[-1])}), encoding="utf-8")
    missed = [each for each in outcomes if each.code]
    for each in missed:
        print(f"{each.name}: {each.verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
