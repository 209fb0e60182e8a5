"""What people read in a terminal: the help of every command, and tables at 80 columns."""

import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

import milepost
from tests.cli.conftest import BRAKES, Milepost, write
from tests.contract.examples import put, sample


def _commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group: the words that call it, and click's command."""
    for name in milepost.COMMANDS:
        module, _ = milepost.COMMANDS[name]
        found: Any = typer.main.get_command(importlib.import_module(module).app)
        found = getattr(found, "commands", {}).get(name, found)
        yield from _tree((name,), found)


def _tree(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _tree((*words, name), below)


def _squeezed(text: str) -> str:
    return re.sub(r"[\s│]+", "", text)


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in _commands()])
def test_help_says_all_that_is_written(
    words: tuple[str, ...], command: Any, cli: Milepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Square brackets are no markup: `[agent] send_interval` must not lose its table's name."""
    monkeypatch.setenv("COLUMNS", "400")
    said = _squeezed(cli(*words, "--help").out.decode())
    texts = [parameter.help for parameter in command.params if getattr(parameter, "help", None)]
    assert [text for text in texts if _squeezed(text.replace("\\[", "[")) not in said] == []
    assert "--install-completion" not in said


def test_the_history_table_breaks_no_word_and_rounds(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns, as most terminals have; `--json` keeps every digit."""
    record = put(sample(seq=1), "engine_diagnostics.engine_rpm", 1000.375)
    record = put(record, "vehicle_health_and_maintenance.active_faults", [{"spn": 1761, "fmi": 17, "source": 0}])
    cli("ingest", write("t.jsonl", record, put(sample(seq=2, sampled_at="2024-06-02T12:00:00Z"), BRAKES, "bad")))
    monkeypatch.setenv("COLUMNS", "80")
    table = cli("history", "T1").out.decode()
    assert max(map(len, table.splitlines())) <= 80
    for word in ("2024-06-02 12:00:00", "brakes", "faults", "1761/17", " 1000 "):
        assert word in table
    assert cli("history", "T1", "--json").json[0]["sample"]["engine_diagnostics"]["engine_rpm"] == 1000.375


def test_no_room_loads_pandas_to_answer_a_command() -> None:
    """It is there wherever the warehouse is installed, and costs 0.6 s and 80 MB a process."""
    rooms = (
        "agent.__main__, collector.cli, collector.cli_queries, standalone.standalone, simulator.shoppers,"
        " simulator.trucks, provisioning.cli"
    )
    code = f"import sys, {rooms}; print(*sorted({{'pandas', 'numpy', 'pyarrow'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True).stdout.strip() == b""


def test_help_is_wrapped_at_the_terminals_width_and_not_where_its_source_is(
    cli: Milepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for words, told in (("up",), "Ready when DIR/up.json is there."), (("audit",), "for a stream whose truck"):
        assert told in " ".join(cli(*words, "--help").out.decode().split())
        text = cli(*words, "--help").out.decode().partition("╭")[0].splitlines()
        lengths = [len(line.rstrip()) for line in text]
        full = [length for length, after in itertools.pairwise(lengths) if length > 0 and after > 0]
        assert min(full) > 60, text
