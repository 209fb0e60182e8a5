"""A run's page: everything that its record says, in one file that asks for nothing from elsewhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from contract import machine_clock
from contract.errors import Misconfigured
from simulator import run_record
from simulator.line_plot import Series, svg
from simulator.run_record import RunRecord
from simulator.run_report import page


class _Parts(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.text, self.foreign = "", []
        self.titles = 0
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        self.foreign += [value for name, value in attrs if name in ("src", "href") and value]
        assert tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in == "h2":
            self.headings.append(data)
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    record = RunRecord(tmp_path, title="A <b>run</b>", trucks=3, interval=1.0)
    for at in range(4):
        processes = {"up": {"cpu_s": at * 0.5, "rss_mb": 200.0 + at}}
        record.tick(
            online=3, sampled=at * 3, pending=at, stored=at * 2, arrived=2, p50=0.02, p99=0.3, processes=processes
        )
    record.fault("partition", machine_clock.now_ms() - 500, "nothing & nobody")
    record.balance({"sampled": 9, "stored": 8, "lost": 1, "counted_twice": 0, "unknown": 0, "verified": True})
    record.close()
    return tmp_path


def test_the_page_has_every_plot_and_the_verdict(run: Path) -> None:
    parts = _Parts(page(run_record.read(run)))
    wanted = {"Throughput", "Latency", "Backlog", "Completeness", "Faults", "Memory", "Processor", "Connections"}
    assert wanted <= set(parts.headings)
    assert "It does not balance." in parts.text
    assert "A <b>run</b>" in parts.text  # as text, not as a tag
    assert "nothing & nobody" in parts.text
    assert parts.foreign == []


def test_a_run_that_was_cut_off_is_still_drawn(run: Path) -> None:
    file = run / run_record.FILE
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:20])
    recorded = run_record.read(run)
    assert (len(recorded.ticks), recorded.balance) == (2, {})
    assert "no balance" in page(recorded)


@pytest.mark.parametrize("content", ["", "no json\n", '{"kind":"tick"}\n'])
def test_what_is_no_record_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / run_record.FILE).write_text(content)
    with pytest.raises(Misconfigured, match="no record"):
        run_record.read(tmp_path)


def test_a_plot_reaches_its_highest_value_and_breaks_where_nothing_is_known() -> None:
    drawn = svg([Series("x", [(0, 0.0), (1, 80.0), (2, None), (3, 40.0)])], unit="ms", seconds=3)
    assert ">80<" in drawn
    assert drawn.partition("<path")[2].count("M") == 2


def test_the_command_writes_one_file(run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "milepost", "simulate", "report", str(run)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(run / "report.html")
    assert (run / "report.html").read_text().startswith("<!doctype html>")
