"""Wrong usage is exit 2, and the message says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Milepost, write
from tests.contract.examples import sample
from tests.milepost_process import run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest", "nowhere.jsonl"), "nowhere.jsonl"),
        (("ingest", "."), "no file"),
        (("ingest",), "FILE"),
        (("ingest", "--stream", "tweets", "t.jsonl"), "telemetry, clicks"),
        (("clicks", "--by", "colour"), "funnel"),
        (("clicks", "--since", "2026-12-01", "--until", "2026-11-01"), "later than --since"),
        (("history", "T1", "--at", "noon"), "RFC 3339"),
        (("history", "T1", "--at", ""), "RFC 3339"),
        (("history", "T1", "--at", "2024-01-01"), "RFC 3339"),
        (("history",), "TRUCK"),
        (("dead-letters", "show", "nope"), "dead-letters list"),
        (("dead-letters", "retry", "nope"), "dead-letters list"),
        (("trucks", "--config", "nowhere.toml"), "nowhere.toml"),
        (("trucks", "--colour"), "--colour"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_wrong_usage_is_exit_2_and_names_the_remedy(filled: Milepost, arguments: tuple[str, ...], said: str) -> None:
    ran = filled(*arguments)
    assert (ran.code, ran.out) == (2, b"")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_file_takes_nothing_of_the_others(cli: Milepost) -> None:
    assert cli("ingest", write("t.jsonl", sample()), "nowhere.jsonl").code == 2
    assert cli("trucks", "--json").json == []


def test_exit_codes_of_a_real_process(tmp_path: Path) -> None:
    bad = tmp_path / "t.jsonl"
    bad.write_text("{\n", encoding="utf-8")
    assert run("ingest", "--data-dir", tmp_path, bad).code == 1
    assert run("ingest", "--data-dir", tmp_path, tmp_path / "nowhere").code == 2
    audit = run("audit", "--data-dir", tmp_path, "--json")
    assert (audit.code, audit.json) == (0, {"lost": 0, "trucks": []})


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [("up", "starlette", "box"), ("ingest", "orjson", "collector"), ("rules", "regex", "rules")],
)
def test_a_command_whose_libraries_are_not_installed_says_what_to_install(
    command: str, library: str, extra: str
) -> None:
    """As on a truck, which has the agent's alone."""
    words = f"import sys; sys.modules[{library!r}] = None; sys.argv = ['milepost', {command!r}]"
    ran = subprocess.run(
        [sys.executable, "-c", f"{words}; import milepost; milepost.main()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (2, False), ran.stderr
    assert f"`milepost {command}` needs pip install 'milepost[{extra}]'" in ran.stderr
