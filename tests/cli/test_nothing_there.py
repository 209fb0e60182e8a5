"""A data directory in which nothing has run yet: each command says so in a line, and none ends in a traceback."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Milepost

ANSWERED = [
    "trucks", "history X", "audit", "audit X", "clicks --by item", "clicks --by minute", "clicks --by page",
    "clicks --by session", "clicks --by funnel", "dead-letters list", "lake info", "alerts list", "alerts rules",
    "forget --truck X --dry-run", "forget --customer X --dry-run",
]  # fmt: skip
REFUSED = [
    "verify", "rebuild", "audit close X Y", "dead-letters show X", "dead-letters retry", "orders list", "orders show X",
    "recommend train", "recommend evaluate", "recommend for --item X", "routes plan nosuch.json", "routes list",
    "customers list", "items list", "fleet list", "alerts ack X", "provision status", "provision log",
    "provision rotate X", "provision truck list", "provision export f.csv", "restore nosuch",
    "provision ca finish --yes", "provision ca rotate",
]  # fmt: skip


@pytest.mark.parametrize("command", ANSWERED)
def test_a_question_is_answered_with_a_document(cli: Milepost, command: str) -> None:
    ran = cli(*command.split(), "--json")
    assert ran.code == 0, ran.err
    json.loads(ran.out)


@pytest.mark.parametrize("command", REFUSED)
def test_what_needs_something_says_what_is_missing(cli: Milepost, command: str) -> None:
    ran = cli(*command.split())
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.splitlines()[-1].startswith("milepost")
    assert len(ran.err.splitlines()) <= 2


@pytest.mark.parametrize("words", [("trucks",), ("audit",), ("lake", "info"), ("lake", "check"), ("alerts", "list")])
def test_a_file_is_no_data_directory(cli: Milepost, words: tuple[str, ...]) -> None:
    """It holds nothing, but to say so would be an answer about a place that is not there."""
    Path("afile").write_text("x")
    ran = cli(*words, "--data-dir", "afile")
    assert ran.code == 2
    assert "afile" in ran.err
