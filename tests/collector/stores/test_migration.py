"""The store file's format: newer ones are refused, older ones copied and brought forward, all or nothing."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from collector import queries
from collector.stores.factory import open_reader, open_store
from collector.stores.sqlite import schema
from contract.errors import Misconfigured, Retryable
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import sample

TODAY = schema.VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of today's format with one sample in it."""
    made = Collector(tmp_path / "milepost.db")
    made.take(sample())
    made.close()
    return tmp_path / "milepost.db"


def _version(path: Path) -> int:
    connection = sqlite3.connect(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(version)


def _one_version_further(monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
    def another(db: Any) -> None:
        db.table("extra").create({"name": str}, pk="name")
        db.table("meta").add_column("more", str)
        if fails:
            raise RuntimeError("power cut")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, another))
    monkeypatch.setattr(schema, "VERSION", TODAY + 1)


@pytest.mark.parametrize("opening", [open_store, open_reader])
def test_a_newer_file_is_refused_and_left_alone(path: Path, opening: Any) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Misconfigured, match="upgrade Milepost"):
        opening(f"sqlite:///{path}")
    assert _version(path) == 99


def test_an_older_file_is_copied_and_brought_forward(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _one_version_further(monkeypatch)
    store = open_store(f"sqlite:///{path}")
    assert [row["truck_id"] for row in queries.trucks(store)] == ["T1"]
    store.close()
    assert _version(path) == TODAY + 1
    assert _version(path.with_name(f"milepost.db.v{TODAY}.bak")) == TODAY


def test_the_copy_is_a_store_of_the_older_milepost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        _one_version_further(later)
        open_store(f"sqlite:///{path}").close()
    copy = path.with_name(f"milepost.db.v{TODAY}.bak")
    reader = open_reader(f"sqlite:///{copy}")
    assert [row["truck_id"] for row in queries.trucks(reader)] == ["T1"]
    assert reader
    reader.close()


def test_a_migration_that_fails_leaves_the_older_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        _one_version_further(later, fails=True)
        with pytest.raises(RuntimeError, match="power cut"):
            open_store(f"sqlite:///{path}")
    assert _version(path) == TODAY
    store = open_store(f"sqlite:///{path}")
    assert [row["truck_id"] for row in queries.trucks(store)] == ["T1"]
    store.close()


def test_an_older_file_is_not_read_before_it_was_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading changes no file, so it says what will."""
    _one_version_further(monkeypatch)
    with pytest.raises(Misconfigured, match="milepost verify"):
        open_reader(f"sqlite:///{path}")


def test_a_file_that_is_just_being_made_reads_as_no_store(tmp_path: Path) -> None:
    (tmp_path / "milepost.db").touch()
    assert open_reader(f"sqlite:///{tmp_path / 'milepost.db'}") is None


@pytest.mark.parametrize("opening", [open_store, open_reader])
def test_a_file_that_is_no_store_is_refused(tmp_path: Path, opening: Any) -> None:
    path = tmp_path / "milepost.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(Misconfigured, match="cannot be opened"):
        opening(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database" * 1000


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite://x", "postgres://x", "milepost.db"])
def test_a_store_url_that_names_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="sqlite:///"):
        open_store(url)


def test_a_store_locked_by_another_is_no_configuration_fault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes: the caller may try again."""
    _one_version_further(monkeypatch)
    monkeypatch.setattr(schema, "_PATIENCE", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Retryable, match="locked"):
        open_store(f"sqlite:///{path}")
    other.close()
