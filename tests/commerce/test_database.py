"""Opening: migrations, newer schemas, wrong URLs."""

from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("url", ["mysql://x/y", "nothing"])
def test_a_url_of_another_kind_says_which_are_known(url: str) -> None:
    with pytest.raises(Misconfigured, match="postgresql://"):
        open_database(url)


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="database"):
        open_database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(Unreachable, match="database"):
        open_database(f"sqlite:///{tmp_path}/missing/commerce.db")
