"""The collector's commands as scripts call them (DESIGN §6): documents, exit codes, settings.

Most run `milepost.main` in this process, for speed; what needs a process of its own has one.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import milepost
from collector.cli import settings_of
from contract import instants
from tests.contract.examples import click, flat, put, sample
from tests.milepost_process import Ran, environment, run

BRAKES = "vehicle_health_and_maintenance.brake_status"
Milepost = Callable[..., Ran]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Milepost:
    """`milepost ARGUMENTS` in an empty working directory, with settings of its own only."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MILEPOST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["milepost", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfdbinary.readouterr()
        code: Any = 0
        try:
            milepost.main()
        except SystemExit as ended:
            code = ended.code
        out, err = capfdbinary.readouterr()
        return Ran(code or 0, out, err.decode())

    return call


def _lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def _write(name: str, *records: Any) -> str:
    Path(name).write_bytes(_lines(*records))
    return name


def _now_click(**changes: Any) -> dict[str, Any]:
    import time

    return click(timestamp=instants.from_ms(time.time_ns() // 1_000_000), **changes)


@pytest.fixture
def filled(cli: Milepost) -> Milepost:
    """A data directory with two versions of a truck, one click and one dead letter."""
    worn = put(sample(seq=2, sampled_at="2024-06-01T12:00:00Z"), BRAKES, "worn")
    assert cli("ingest", _write("t.jsonl", sample(), worn, {"truck_id": ""})).code == 1
    assert cli("ingest", "--stream", "clicks", _write("c.jsonl", _now_click())).code == 0
    return cli


# --json: one document and nothing else

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
    assert cli("verify", "--json").json == []
    assert cli("rebuild", "--json").json == {"trucks": 0, "versions": 0}
    assert cli("dead-letters", "retry", "--json").json == {"accepted": 0, "duplicate": 0, "rejected": 0}


def test_half_a_surrogate_pair_can_be_printed(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(
        b'{"truck_id":"T1","timestamp":"2024-01-01T00:00:00Z","note":"\\ud800",'
        b'"vehicle_health_and_maintenance":{"brake_status":"\\udfff \xc3\xbc"}}\n'
    )
    assert cli("ingest", "t.jsonl").code == 0
    for command in (("trucks",), ("history", "T1")):
        assert "\\ud800" in cli(*command, "--json").out.decode()
        assert cli(*command).code == 0


# ingest


def test_the_last_line_of_ingest_is_its_sum(cli: Milepost) -> None:
    ran = cli("ingest", _write("t.jsonl", sample(), sample(), flat(), {"truck_id": ""}))
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == b'{"accepted":2,"duplicate":1,"rejected":1}'
    assert "dead-letters list" in ran.err


def test_the_same_file_again_is_all_duplicate_and_exit_0(cli: Milepost) -> None:
    file = _write("t.jsonl", sample(), flat(), sample(seq=2, sampled_at="2024-06-01T12:00:00Z"))
    cli("ingest", file)
    again = cli("ingest", file, "--json")
    assert (again.code, again.json) == (0, {"accepted": 0, "duplicate": 3, "rejected": 0})


def test_several_files_are_summed_and_blank_lines_skipped(cli: Milepost) -> None:
    Path("a.jsonl").write_bytes(b"\n  \r\n" + _lines(sample()) + b"\n\n")
    Path("b.jsonl").write_bytes(_lines(sample(seq=2))[:-1])  # no line break at its end
    Path("empty.jsonl").touch()
    ran = cli("ingest", "a.jsonl", "b.jsonl", "empty.jsonl", "a.jsonl", "--json")
    assert ran.json == {"accepted": 2, "duplicate": 1, "rejected": 0}


def test_lines_may_end_as_windows_ends_them(cli: Milepost) -> None:
    Path("a.jsonl").write_bytes(_lines(sample(), sample(seq=2)).replace(b"\n", b"\r\n"))
    assert cli("ingest", "a.jsonl", "--json").json["accepted"] == 2


def test_a_line_may_be_a_batch(cli: Milepost) -> None:
    assert cli("ingest", _write("a.jsonl", {"records": [sample(), flat()]}), "--json").json["accepted"] == 2


def test_a_dash_is_stdin(cli: Milepost) -> None:
    ran = cli("ingest", "-", "--json", stdin=_lines(sample(), sample()))
    assert ran.json == {"accepted": 1, "duplicate": 1, "rejected": 0}


def test_a_pipe_is_a_file(cli: Milepost, tmp_path: Path) -> None:
    """`milepost ingest <(zcat old.jsonl.gz)`."""
    _write("t.jsonl", sample())
    ran = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m milepost ingest <(cat t.jsonl)'],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, b'{"accepted":1,"duplicate":0,"rejected":0}\n')


def test_garbage_is_rejected_line_by_line(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(b"{\n\xff\xfe\n[]\nnull\n" + _lines(sample()) + b"\x00\n" + b"[" * 3000 + b"\n")
    assert cli("ingest", "t.jsonl", "--json").json == {"accepted": 1, "duplicate": 0, "rejected": 6}
    assert len(cli("dead-letters", "list", "--json").json) == 6


def test_a_file_record_without_a_time_is_rejected(cli: Milepost) -> None:
    assert cli("ingest", _write("t.jsonl", {"truck_id": "T1"}), "--json").json["rejected"] == 1
    assert cli("dead-letters", "list", "--json").json[0]["field"] == "sampled_at"


# usage: exit 2, and the message says what to do


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest", "nowhere.jsonl"), "nowhere.jsonl"),
        (("ingest", "."), "no file"),
        (("ingest",), "FILE"),
        (("ingest", "--stream", "tweets", "t.jsonl"), "telemetry, clicks"),
        (("clicks", "--by", "colour"), "funnel"),
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
    assert cli("ingest", _write("t.jsonl", sample()), "nowhere.jsonl").code == 2
    assert cli("trucks", "--json").json == []


def test_exit_codes_of_a_real_process(tmp_path: Path) -> None:
    bad = tmp_path / "t.jsonl"
    bad.write_text("{\n", encoding="utf-8")
    assert run("ingest", "--data-dir", tmp_path, bad).code == 1
    assert run("ingest", "--data-dir", tmp_path, tmp_path / "nowhere").code == 2
    audit = run("audit", "--data-dir", tmp_path, "--json")
    assert (audit.code, audit.json) == (0, {"lost": 0, "trucks": []})


# settings


@pytest.mark.parametrize("how", ["--data-dir", "MILEPOST_DATA_DIR", "config", "MILEPOST_CONFIG", "milepost.toml"])
def test_where_the_data_directory_is_said(cli: Milepost, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _write("t.jsonl", sample())
    Path("other.toml").write_text('[collector]\ndata_dir = "elsewhere"\n', encoding="utf-8")
    more: list[str] = []
    if how == "--data-dir":
        more = ["--data-dir", "elsewhere"]
    elif how == "MILEPOST_DATA_DIR":
        monkeypatch.setenv("MILEPOST_DATA_DIR", "elsewhere")
    elif how == "config":
        more = ["--config", "other.toml"]
    elif how == "MILEPOST_CONFIG":
        monkeypatch.setenv("MILEPOST_CONFIG", "other.toml")
    else:
        Path("other.toml").rename("milepost.toml")
    assert cli("ingest", "t.jsonl", *more).code == 0
    assert Path("elsewhere/milepost.db").is_file()
    assert len(cli("trucks", "--json", *more).json) == 1


def test_the_flag_stands_above_the_environment(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_DATA_DIR", "environment")
    assert settings_of(None, Path("flag")).data_dir == Path("flag")
    cli("ingest", _write("t.jsonl", sample()), "--data-dir", "flag")
    assert Path("flag/milepost.db").is_file()
    assert not Path("environment").exists()


def test_without_any_it_is_milepost_data(cli: Milepost) -> None:
    cli("ingest", _write("t.jsonl", sample()))
    assert Path("milepost-data/milepost.db").is_file()


def test_milepost_store_overrides_only_the_store(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_STORE", "sqlite:///other/store.db")
    cli("ingest", _write("t.jsonl", sample()), "--data-dir", "elsewhere")
    assert Path("other/store.db").is_file()
    assert not Path("elsewhere").exists()
    assert len(cli("trucks", "--json").json) == 1


def test_a_store_of_an_unknown_kind_is_exit_2(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_STORE", "postgres://x")
    ran = cli("trucks")
    assert ran.code == 2
    assert "sqlite:///" in ran.err


def test_another_track_is_refused_until_rebuild(filled: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's history was made with the default."""
    monkeypatch.setenv("MILEPOST_TRACK", '{"vehicle_speed":{"bands":[50]}}')
    for command in (("ingest", "t.jsonl"), ("verify",), ("rebuild", "T1"), ("dead-letters", "retry")):
        ran = filled(*command)
        assert ran.code == 2, command
        assert "milepost rebuild" in ran.err
    assert len(filled("history", "T1", "--json").json) == 2
    assert filled("rebuild", "--json").json == {"trucks": 1, "versions": 1}
    assert len(filled("history", "T1", "--json").json) == 1
    assert filled("verify").code == 0


@pytest.mark.parametrize("track", ["nonsense", "{", '{"vehicle_sped":"exact"}', '{"vehicle_speed":{"step":0}}'])
def test_a_track_that_says_nothing_is_exit_2(cli: Milepost, track: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_TRACK", track)
    ran = cli("ingest", _write("t.jsonl", sample()))
    assert ran.code == 2
    assert "track" in ran.err.lower()


def test_every_sample_is_a_track(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_TRACK", "every-sample")
    cli("ingest", _write("t.jsonl", sample(), sample(seq=2, sampled_at="2024-06-01T12:00:00Z")))
    assert len(cli("history", "T1", "--json").json) == 2


def test_an_unknown_key_is_exit_2_and_named(cli: Milepost) -> None:
    Path("milepost.toml").write_text("[collector]\nresend_afer = 5\n", encoding="utf-8")
    ran = cli("trucks")
    assert ran.code == 2
    assert "resend_afer" in ran.err


def test_a_store_of_a_newer_milepost_is_exit_2(filled: Milepost) -> None:
    import sqlite3

    with sqlite3.connect("milepost-data/milepost.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    for command in (("trucks",), ("ingest", "t.jsonl"), ("verify",)):
        ran = filled(*command)
        assert ran.code == 2
        assert "upgrade" in ran.err


# history, audit, dead letters


def test_history_at_a_time_without_a_zone_is_utc(filled: Milepost) -> None:
    [row] = filled("history", "T1", "--at", "2024-06-01 11:59:30", "--json").json
    assert (row["effective_start_date"], row["is_current"]) == ("2024-06-01T11:59:00.000Z", False)
    [row] = filled("history", "T1", "--at", "2024-06-01T14:00:00+02:00", "--json").json
    assert row["is_current"]
    assert filled("history", "T1", "--at", "2024-06-01T11:58:59Z", "--json").json == []


def test_audit_is_exit_1_for_a_hole_that_is_no_longer_late(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("ingest", _write("t.jsonl", sample(seq=1), sample(seq=3)))
    early = cli("audit", "--json")
    assert (early.code, early.json["trucks"][0]["late"]) == (0, [[2, 2]])
    monkeypatch.setenv("MILEPOST_COLLECTOR__RESEND_AFTER", "0.000001")
    late = cli("audit", "--json")
    assert (late.code, late.json["trucks"][0]["holes"], late.json["trucks"][0]["late"]) == (1, [[2, 2]], [])
    assert cli("audit").code == 1
    assert cli("audit", "T9", "--json").json == {"lost": 0, "trucks": []}


def test_a_dead_letter_is_listed_and_shown_whole(filled: Milepost) -> None:
    [letter] = filled("dead-letters", "list", "--json").json
    assert set(letter) == {"id", "received_at", "source", "reason", "field", "payload"}
    assert (letter["source"], letter["field"], letter["payload"]) == ("file:telemetry", "truck_id", '{"truck_id": ""}')
    shown = filled("dead-letters", "show", letter["id"], "--json").json
    assert shown == {**letter, "times": 1}
    assert letter["payload"] in filled("dead-letters", "show", letter["id"]).out.decode()


def test_a_payload_that_is_no_text_is_base64(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(b"\xff\xfe\n")
    cli("ingest", "t.jsonl")
    assert cli("dead-letters", "list", "--json").json[0]["payload"] == {"$base64": "//4="}
    assert cli("dead-letters", "list").code == 0


def test_a_retry_is_refused_again_while_nothing_was_mended(filled: Milepost) -> None:
    ran = filled("dead-letters", "retry", "--json")
    assert (ran.code, ran.json) == (1, {"accepted": 0, "duplicate": 0, "rejected": 1})
    assert len(filled("dead-letters", "list", "--json").json) == 1


def test_a_retry_after_a_fix_takes_them_in(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a newer Milepost knows what an older one refused: here, a bound that was wrong."""
    from contract import records

    def refuse(*_: object) -> None:
        raise records.Rejected("seq", "an older Milepost did not like it")

    file = _write("t.jsonl", sample(seq=1), sample(seq=2, sampled_at="2024-06-01T12:00:00Z"))
    with monkeypatch.context() as older:
        older.setattr(records, "_validate", refuse)
        assert cli("ingest", file).code == 1
    first, _ = cli("dead-letters", "list", "--json").json
    assert cli("dead-letters", "retry", first["id"], "--json").json["accepted"] == 1
    assert len(cli("dead-letters", "list", "--json").json) == 1
    assert cli("dead-letters", "retry", "--json").json["accepted"] == 1
    assert cli("dead-letters", "list", "--json").json == []
    assert cli("audit", "--json").json["trucks"][0]["received"] == 2


def test_help_is_there_for_every_command(cli: Milepost) -> None:
    listing = cli("--help").out.decode()
    for command in ("ingest", "trucks", "history", "clicks", "audit", "dead-letters", "rebuild", "verify"):
        assert command in listing
        ran = cli(command, "--help")
        assert ran.code == 0
        if command != "dead-letters":
            for option in ("--data-dir", "--json", "--config"):
                assert option in ran.out.decode(), (command, option)
