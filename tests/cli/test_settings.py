"""Where the commands find their settings, and what becomes of wrong ones."""

import sqlite3
from pathlib import Path

import pytest

from collector.cli_options import settings_of
from tests.cli.conftest import Milepost, write
from tests.contract.examples import sample


@pytest.mark.parametrize("how", ["--data-dir", "MILEPOST_DATA_DIR", "config", "MILEPOST_CONFIG", "milepost.toml"])
def test_where_the_data_directory_is_said(cli: Milepost, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write("t.jsonl", sample())
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
    cli("ingest", write("t.jsonl", sample()), "--data-dir", "flag")
    assert Path("flag/milepost.db").is_file()
    assert not Path("environment").exists()


def test_without_any_it_is_milepost_data(cli: Milepost) -> None:
    cli("ingest", write("t.jsonl", sample()))
    assert Path("milepost-data/milepost.db").is_file()


def test_milepost_store_overrides_only_the_store(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_STORE", "sqlite:///other/store.db")
    cli("ingest", write("t.jsonl", sample()), "--data-dir", "elsewhere")
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
    ran = cli("ingest", write("t.jsonl", sample()))
    assert ran.code == 2
    assert "track" in ran.err.lower()


def test_every_sample_is_a_track(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILEPOST_TRACK", "every-sample")
    cli("ingest", write("t.jsonl", sample(), sample(seq=2, sampled_at="2024-06-01T12:00:00Z")))
    assert len(cli("history", "T1", "--json").json) == 2


def test_an_unknown_key_is_exit_2_and_named(cli: Milepost) -> None:
    Path("milepost.toml").write_text("[collector]\nresend_afer = 5\n", encoding="utf-8")
    ran = cli("trucks")
    assert ran.code == 2
    assert "resend_afer" in ran.err


def test_a_store_of_a_newer_milepost_is_exit_2(filled: Milepost) -> None:

    with sqlite3.connect("milepost-data/milepost.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    for command in (("trucks",), ("ingest", "t.jsonl"), ("verify",)):
        ran = filled(*command)
        assert ran.code == 2
        assert "upgrade" in ran.err
