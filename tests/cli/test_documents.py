"""With --json every command prints one document and nothing else; without, a text for people (docs/commands.md)."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Milepost, write

EVERY_COMMAND = [
    ("trucks",),
    ("history", "T1"),
    ("history", "T9"),
    ("history", "T1", "--at", "2024-06-01T12:00"),
    ("audit",),
    ("audit", "T1"),
    *((("clicks", "--by", by)) for by in ("item", "minute", "page", "session", "funnel")),
    ("clicks",),
    ("dead-letters", "list"),
    ("rebuild",),
    ("rebuild", "T1"),
    ("verify",),
    ("verify", "T1"),
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_json_is_one_document_and_nothing_else(filled: Milepost, command: tuple[str, ...]) -> None:
    ran = filled(*command, "--json")
    assert ran.code == 0, ran.err
    assert isinstance(ran.json, list | dict)
    assert ran.out.endswith(b"\n")
    assert ran.out.count(b"\n") == 1


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
def test_without_json_people_get_a_text(filled: Milepost, command: tuple[str, ...]) -> None:
    ran = filled(*command)
    assert ran.code == 0, ran.err
    assert ran.out.strip()


@pytest.mark.parametrize(
    ("command", "empty"),
    [
        (("trucks",), []),
        (("history", "T1"), []),
        (("audit",), {"lost": 0, "trucks": []}),
        (("clicks",), []),
        (("clicks", "--by", "funnel"), []),
        (("dead-letters", "list"), []),
    ],
)
def test_no_store_yet_is_an_empty_answer(cli: Milepost, command: tuple[str, ...], empty: Any) -> None:
    """And asking makes no directory; the hint goes to stderr."""
    ran = cli(*command, "--json")
    assert (ran.code, ran.json) == (0, empty)
    assert "milepost ingest" in ran.err
    assert not Path("milepost-data").exists()
    assert cli(*command).code == 0


def test_verify_and_rebuild_of_an_empty_store(cli: Milepost) -> None:
    assert cli("ingest", write("t.jsonl"), "--json").code == 0
    assert cli("verify", "--json").json == []
    assert cli("rebuild", "--json").json == {"trucks": 0, "versions": 0}
    assert cli("dead-letters", "retry", "--json").json == {"accepted": 0, "duplicate": 0, "rejected": 0}


@pytest.mark.parametrize("command", [("verify",), ("rebuild",), ("rebuild", "T1"), ("dead-letters", "retry")])
def test_where_there_is_no_store_nothing_is_verified_and_none_is_made(cli: Milepost, command: tuple[str, ...]) -> None:
    """A mistyped --data-dir is not "all is well"."""
    ran = cli(*command, "--data-dir", "nowhere")
    assert (ran.code, ran.out) == (2, b"")
    assert "no store at sqlite:///nowhere/milepost.db" in ran.err
    assert "milepost ingest" in ran.err
    assert not Path("nowhere").exists()


def test_half_a_surrogate_pair_can_be_printed(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(
        b'{"truck_id":"T1","timestamp":"2024-01-01T00:00:00Z","note":"\\ud800",'
        b'"vehicle_health_and_maintenance":{"brake_status":"\\udfff \xc3\xbc"}}\n'
    )
    assert cli("ingest", "t.jsonl").code == 0
    for command in (("trucks",), ("history", "T1")):
        assert "\\ud800" in cli(*command, "--json").out.decode()
        assert cli(*command).code == 0


def test_help_is_there_for_every_command(cli: Milepost) -> None:
    listing = cli("--help").out.decode()
    for command in ("ingest", "trucks", "history", "clicks", "audit", "dead-letters", "rebuild", "verify"):
        assert command in listing
        ran = cli(command, "--help")
        assert ran.code == 0
        if command != "dead-letters":
            for option in ("--data-dir", "--json", "--config"):
                assert option in ran.out.decode(), (command, option)
