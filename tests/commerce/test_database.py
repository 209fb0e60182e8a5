"""Opening: migrations, newer schemas, wrong URLs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from commerce.registers.documents import VEHICLES
from commerce.registers.register import Register
from commerce.storage.database import open_database
from commerce.storage.schema import metadata
from contract.errors import Misconfigured, Unreachable


def test_the_migrations_make_the_tables_that_the_program_names(new_url: Callable[[], str]) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    database = open_database(new_url())
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    database.close()
    assert [each for each in differences if "comment" not in each[0] and "comment" not in str(each[0][0])] == []


def test_opening_again_changes_nothing_and_a_newer_one_is_refused(new_url: Callable[[], str]) -> None:
    url = new_url()
    open_database(url).close()
    database = open_database(url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(Misconfigured, match="upgrade milepost"):
        open_database(url)


def test_a_correction_that_an_earlier_release_ignored_counts_after_the_upgrade(new_url: Callable[[], str]) -> None:
    """Of two documents for one time that of the larger hash counted."""
    url, register = new_url(), "register_documents"
    database = open_database(url)
    since, end = "2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z"
    with database.write() as connection:
        for order_key, key, received_ms, litres in (
            (f"{since}#{'f' * 64}", "wrong", 1, 200),
            (f"{since}#{'a' * 64}", "right", 2, 300),
            (f"{end}#{'b' * 64}", "next", 3, 400),
        ):
            names = {"kind": "vehicle", "subject_id": "T1", "order_key": order_key, "key": key}
            row = {**names, "received_ms": received_ms, "document": f'{{"tank_litres":{litres}}}'}
            connection.execute(metadata.tables[register].insert().values(**row))
        before = [
            (f"{since}#{'a' * 64}", "right", since),
            (f"{since}#{'f' * 64}", "wrong", end),
            (f"{end}#{'b' * 64}", "next", None),
        ]
        for order_key, key, until in before:
            names = {"kind": "vehicle", "subject_id": "T1", "order_key": order_key, "key": key, "end": until}
            connection.execute(metadata.tables["register_versions"].insert().values(**names))
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    database.close()
    database = open_database(url)
    found = [
        (row["effective_start_date"], row["effective_end_date"], row["document"]["tank_litres"])
        for row in Register(database, VEHICLES).versions("T1")
    ]
    assert found == [(since, end, 300), (end, None, 400)]
    database.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "nothing"])
def test_a_url_of_another_kind_says_which_are_known(url: str) -> None:
    with pytest.raises(Misconfigured, match="postgresql://"):
        open_database(url)


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="database"):
        open_database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(Unreachable, match="database"):
        open_database(f"sqlite:///{tmp_path}/missing/commerce.db")
