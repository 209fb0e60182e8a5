"""Athena over exported marts: its template is that of the models, and its ten queries are answered."""

import json
from pathlib import Path

import duckdb
import pytest
import sqlglot

from deploy.ministack import Ministack, environment
from tests.cfn_lint import assert_clean
from tests.milepost_here import run
from tests.warehouse import example
from tests.warehouse.fleet import Fleet, drive
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
    assert duckdb.sql(f"SELECT build FROM '{tmp_path}/marts/build/*.parquet'").fetchall() == [(1,)]
    assert len(QUERIES) == 10
    with duckdb.connect() as db:
        for name, rows in counts.items():
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM '{tmp_path}/marts/{name}/*.parquet'")
            assert db.execute(f"SELECT count(*) FROM {name}").fetchone() == (rows,)
        for name, sql in QUERIES.items():
            found = db.execute(sqlglot.transpile(sql, read="athena", write="duckdb")[0]).fetchall()
            assert found, name


def _put(stack: Ministack, marts: Path) -> None:
    for path in marts.glob("*/*.parquet"):
        stack.client("s3").upload_file(str(path), "lake", f"marts/{path.parent.name}/{path.name}")


def test_check_names_what_differs_in_athena(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ministack's Athena reads the files by DuckDB; database, tables and workgroup are those of the template."""
    resources = json.loads(TEMPLATE.read_text(encoding="utf-8").replace("${Bucket}", "lake"))["Resources"]
    fleet.take(drive("T1", "2024-06-01T23:50:00.000Z", [50.0, 60.0, None]))
    fleet.build()
    fleet.build_marts()
    export(fleet.folder / "warehouse.duckdb", tmp_path / "marts")
    with Ministack(tmp_path) as stack:
        for name, value in environment(stack.url).items():
            monkeypatch.setenv(name, value)
        command = [
            "warehouse",
            "check",
            "--engine",
            "athena://milepost-warehouse/marts",
            "--data-dir",
            str(fleet.folder),
        ]
        stack.client("s3").create_bucket(Bucket="lake")
        assert "Athena refuses" in run(*command).err  # no such workgroup, so nowhere for the results
        location = {"ResultConfiguration": {"OutputLocation": "s3://lake/athena-results/"}}
        stack.client("athena").create_work_group(Name="milepost-warehouse", Configuration=location)
        glue = stack.client("glue")
        glue.create_database(DatabaseInput={"Name": "marts"})
        assert "warehouse export" in run(*command).err
        for each in resources.values():
            if each["Type"] == "AWS::Glue::Table":
                table = each["Properties"]["TableInput"]
                table["StorageDescriptor"]["Location"] = table["StorageDescriptor"]["Location"]["Fn::Sub"]
                glue.create_table(DatabaseName="marts", TableInput=table)
        _put(stack, tmp_path / "marts")
        found = run(*command, "--json")
        assert (found.code, found.json["ok"]) == (0, True), found.err
        asked = run("warehouse", "query", *command[2:], "--json", "SELECT * FROM truck_history ORDER BY 2").json
        assert asked == run("warehouse", "query", *command[4:], "--json", "SELECT * FROM truck_history ORDER BY 2").json
        assert "give one SELECT" in run("warehouse", "query", *command[2:], "DROP TABLE truck_day").err
        assert "Athena refuses the SQL" in run("warehouse", "query", *command[2:], "SELECT nothing FROM truck_day").err
        assert "warehouse export" in run("warehouse", "build", *command[2:]).err
        part = tmp_path / "marts" / "truck_day" / "part.parquet"
        one_more = f"SELECT * REPLACE (samples_received + 1 AS samples_received) FROM '{part}'"
        duckdb.sql(f"COPY ({one_more}) TO '{part}.new' (format parquet)")
        part.with_name("part.parquet.new").replace(part)
        _put(stack, tmp_path / "marts")
        differs = run(*command, "--json")
        assert differs.code == 1
        [problem] = [each["problem"] for each in differs.json["checks"] if each["problem"]]
        assert "T1 on 2024-06-01: 3 samples in the lake, 4 in the mart" in problem


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
        assert {table["Name"] for table in tables} == {"build", *(name for name, _ in example.marts())}
        athena = stack.client("athena")
        group = athena.get_work_group(WorkGroup="milepost-warehouse")["WorkGroup"]
        assert int(group["Configuration"]["BytesScannedCutoffPerQuery"]) == 10_000_000_000
