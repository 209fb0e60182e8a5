"""Athena over exported marts: its template is that of the models, and its ten queries are answered."""

import json
from pathlib import Path

import duckdb
import pytest
import sqlglot

from deploy.ministack import Ministack
from tests.cfn_lint import assert_clean
from tests.warehouse import example
from tests.warehouse.fleet import Fleet
from warehouse.athena import QUERIES, TEMPLATE, text
from warehouse.export import export


def test_the_template_is_that_of_the_models() -> None:
    """Run `python -m warehouse.athena` after a change of a model."""
    kept = TEMPLATE.read_text(encoding="utf-8")
    assert kept == text()
    assert len(kept.encode()) <= 51_200


def test_the_template_is_one_that_cloudformation_knows() -> None:
    assert_clean(TEMPLATE)


def test_ten_queries_on_exported_marts(fleet: Fleet, tmp_path: Path) -> None:
    """Each as Athena reads it, turned by sqlglot and run by DuckDB on the files that Athena would read."""
    example.fill(fleet)
    counts = fleet.build_marts(terms=example.TERMS)
    assert export(fleet.folder / "warehouse.duckdb", tmp_path / "marts") == counts
    assert export(fleet.folder / "warehouse.duckdb", tmp_path / "marts") == counts  # replaced, not added to
    assert len(QUERIES) == 10
    with duckdb.connect() as db:
        for name, rows in counts.items():
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM '{tmp_path}/marts/{name}/*.parquet'")
            assert db.execute(f"SELECT count(*) FROM {name}").fetchone() == (rows,)
        for name, sql in QUERIES.items():
            found = db.execute(sqlglot.transpile(sql, read="athena", write="duckdb")[0]).fetchall()
            assert found, name


@pytest.mark.prove
def test_it_is_deployed_to_the_local_stack(tmp_path: Path) -> None:
    """Database, tables, and the workgroup with its limit. ministack knows no named query in a template."""
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    kinds = template["Resources"].items()
    template["Resources"] = {name: each for name, each in kinds if each["Type"] != "AWS::Athena::NamedQuery"}
    with Ministack(tmp_path) as stack:
        stack.client("s3").create_bucket(Bucket="lake")
        formation = stack.client("cloudformation")
        formation.create_stack(
            StackName="warehouse",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Bucket", "ParameterValue": "lake"}],
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName="warehouse", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        tables = stack.client("glue").get_tables(DatabaseName="milepost_marts")["TableList"]
        assert {table["Name"] for table in tables} == {name for name, _ in example.marts()}
        athena = stack.client("athena")
        group = athena.get_work_group(WorkGroup="milepost-warehouse")["WorkGroup"]
        assert int(group["Configuration"]["BytesScannedCutoffPerQuery"]) == 10_000_000_000
