"""QuickSight's template: every definition is one that AWS takes, and every visual shows the marts' numbers."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import duckdb
import pytest
import sqlglot
from botocore.validate import ParamValidator
from cfnlint.api import ManualArgs, lint

from dashboards.panels.sql import quoted
from dashboards.panels.views import PANELS, QUICKSIGHT
from dashboards.quicksight.generate import TEMPLATE, filters, text
from dashboards.quicksight.visuals import calculated_name, shown
from tests.dashboards.demo import Demo
from tests.dashboards.panel_table import Marts, Shown, query_of, table
from warehouse import athena
from warehouse.export import export

_OPERATIONS = {
    "AWS::QuickSight::Dashboard": "CreateDashboard", "AWS::QuickSight::Analysis": "CreateAnalysis",
    "AWS::QuickSight::DataSet": "CreateDataSet", "AWS::QuickSight::DataSource": "CreateDataSource",
}  # fmt: skip
_DATABASE = "milepost_marts"
_TYPES = {"VARCHAR": "STRING", "DOUBLE": "DECIMAL", "BIGINT": "DECIMAL", "INTEGER": "DECIMAL", "DATE": "DATETIME",
          "TIMESTAMP": "DATETIME"}  # fmt: skip
"""DuckDB's type of a mart's column → QuickSight's."""


def resources(template: Path = TEMPLATE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(template.read_text())["Resources"]
    return found


def resolved(value: Any) -> Any:
    """The template's functions filled in, as CloudFormation hands them to QuickSight."""
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            return {"AWS::AccountId": "123456789012"}.get(value["Ref"], "arn:aws:quicksight:eu-central-1:1:user/d/u")
        if set(value) == {"Fn::Sub"}:
            return value["Fn::Sub"].replace("${Prefix}", "milepost").replace("${Database}", _DATABASE)
        if set(value) == {"Fn::GetAtt"}:
            return "arn:aws:quicksight:eu-central-1:123456789012:dataset/x"
        return {key: resolved(each) for key, each in value.items()}
    return [resolved(each) for each in value] if isinstance(value, list) else value


def visuals(definition: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
    """Of each visual: its panel, what it groups by, and its values, as the definition says."""
    for sheet in definition["Sheets"]:
        for each in sheet["Visuals"]:
            (body,) = each.values()
            (wells,) = body["ChartConfiguration"]["FieldWells"].values()
            groups = [*wells.get("Category", []), *wells.get("GroupBy", []), *wells.get("Colors", [])]
            yield body["VisualId"].replace("-", "_"), groups, wells["Values"]


def as_asked(tool: str, template: Path = TEMPLATE) -> Iterator[Shown]:
    """Each visual as the SQL that it comes to: its values, grouped, over its data set's own SQL."""
    held = resources(template)
    for name, resource in held.items():
        if resource["Type"] != f"AWS::QuickSight::{tool}":
            continue
        definition = resource["Properties"]["Definition"]
        for panel_name, groups, values in visuals(definition):
            panel = PANELS[panel_name]
            (kept,) = [
                each["Properties"]["PhysicalTableMap"] for each in held.values()
                if each["Type"] == "AWS::QuickSight::DataSet" and each["Properties"]["Name"] == panel.title
            ]  # fmt: skip
            (source,) = kept.values()
            inner = resolved(source["CustomSql"]["SqlQuery"]).replace(f'"{_DATABASE}".', "")
            by = [next(iter(group.values()))["Column"]["ColumnName"] for group in groups]
            named = [_value(value, definition) for value in values]
            grouped = f"GROUP BY {', '.join(map(quoted, by))}" if by else ""
            sql = f"SELECT {', '.join([*map(quoted, by), *named])} FROM ({inner}) AS data {grouped}"
            results = {next(iter(value.values()))["FieldId"].rpartition(".")[2] for value in values}
            ours = replace(panel, measures=tuple(each for each in shown(panel) if each.result in results), period=False)
            yield Shown(f"QuickSight {tool}", name, ours, sql)


def _value(value: dict[str, Any], definition: dict[str, Any]) -> str:
    (body,) = value.values()
    name, result = body["Column"]["ColumnName"], quoted(body["FieldId"].rpartition(".")[2])
    for field in definition["CalculatedFields"]:
        if field["Name"] == name:
            expression = re.sub(r"isNull\(\{(\w+)\}\)", r"\1 IS NULL", field["Expression"])
            expression = re.sub(r"ifelse\(([^,]*),", r"IF(\1,", expression)
            return f"{re.sub(r'[{}]', '', expression)} AS {result}"
    how = body["AggregationFunction"]
    function = how if isinstance(how, str) else how["SimpleNumericalAggregation"]
    return f"{ {'AVERAGE': 'AVG'}.get(function, function) }({quoted(name)}) AS {result}"


def test_the_template_is_the_one_that_is_generated() -> None:
    assert TEMPLATE.read_text() == text(), "run python -m dashboards.quicksight.generate"


def test_cfn_lint_finds_nothing() -> None:
    assert [str(match) for match in lint(TEMPLATE.read_text(), ManualArgs(regions=["us-east-1"]))] == []


def test_every_resource_is_one_that_the_service_takes() -> None:
    model = botocore.session.get_session().get_service_model("quicksight")
    for name, resource in resources().items():
        shape = model.operation_model(_OPERATIONS[resource["Type"]]).input_shape
        report = ParamValidator().validate(resolved(resource["Properties"]), shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
    broken = resolved(resources()["DashboardFunnel"]["Properties"])
    broken["Definition"]["Sheets"][0]["Visuals"][0]["FunnelChartVisual"]["VisualId"] = 7
    assert ParamValidator().validate(broken, model.operation_model("CreateDashboard").input_shape).has_errors()


def test_it_reads_what_the_stack_of_athena_makes() -> None:
    theirs = json.loads(athena.TEMPLATE.read_text(encoding="utf-8"))
    prefix = theirs["Parameters"]["Prefix"]["Default"]
    made = {
        "WorkGroup": theirs["Resources"]["WorkGroup"]["Properties"]["Name"]["Fn::Sub"],
        "Database": theirs["Resources"]["Database"]["Properties"]["DatabaseInput"]["Name"]["Fn::Sub"],
    }
    ours = json.loads(TEMPLATE.read_text())["Parameters"]
    assert {name: ours[name]["Default"] for name in made} == {
        name: each.replace("${Prefix}", prefix) for name, each in made.items()
    }
    assert {name for name, each in ours.items() if "Default" not in each} == {"PrincipalArn"}


def test_each_data_set_runs_on_the_exported_marts(demo: Demo, tmp_path: Path) -> None:
    """As the warehouse checks Athena's queries: read by sqlglot, run by DuckDB on the files that Athena would read."""
    counts = export(demo.folder / "warehouse.duckdb", tmp_path / "marts")
    tables = {
        name: next(iter(each["Properties"]["PhysicalTableMap"].values()))["CustomSql"]
        for name, each in resources().items() if each["Type"] == "AWS::QuickSight::DataSet"
    }  # fmt: skip
    assert len(tables) == sum(map(len, QUICKSIGHT.values()))
    with duckdb.connect() as db:
        db.execute(f"CREATE SCHEMA {_DATABASE}")
        for name in counts:
            db.execute(f"CREATE VIEW {_DATABASE}.{name} AS SELECT * FROM '{tmp_path}/marts/{name}/*.parquet'")
        for name, table_ in tables.items():
            sql = sqlglot.transpile(resolved(table_["SqlQuery"]), read="athena", write="duckdb")[0]
            assert len(db.execute(sql).fetchall()) == counts[table_["Name"]], name
            described = db.execute(f"SELECT column_name, column_type FROM (DESCRIBE {sql})").fetchall()
            declared = [(each["Name"], each["Type"]) for each in table_["Columns"]]
            assert declared == [(column, _TYPES[kind]) for column, kind in described], name


@pytest.mark.parametrize("tool", ["Analysis", "Dashboard"])
def test_every_visual_shows_the_marts_numbers(tool: str, demo: Demo) -> None:
    """Athena does not run here: its SQL is translated for DuckDB."""
    ask = query_of(demo.folder)
    lines = table(as_asked(tool), Marts(lambda sql: ask(sqlglot.transpile(sql, read="athena", write="duckdb")[0])))
    assert {line.panel for line in lines} == {name for names in QUICKSIGHT.values() for name in names}
    assert [(line.panel, line.fault) for line in lines if line.fault] == []


def test_every_column_is_in_its_data_set() -> None:
    held = resources()
    sets = {
        each["Properties"]["Name"]: {column["Name"] for table in each["Properties"]["PhysicalTableMap"].values()
                                     for column in table["CustomSql"]["Columns"]}
        for each in held.values() if each["Type"] == "AWS::QuickSight::DataSet"
    }  # fmt: skip
    for resource in held.values():
        if resource["Type"] == "AWS::QuickSight::Dashboard":
            definition = resource["Properties"]["Definition"]
            calculated = {field["Name"] for field in definition["CalculatedFields"]}
            found = json.dumps(definition["Sheets"]) + json.dumps(definition["FilterGroups"])
            for data_set, column in re.findall(r'"DataSetIdentifier": "(\w+)", "ColumnName": "([^"]+)"', found):
                assert column in sets[PANELS[data_set].title] | calculated, (data_set, column)


def test_each_dashboard_shows_what_it_must() -> None:
    kinds = {name: set() for name in QUICKSIGHT}  # type: dict[str, set[str]]
    for resource in resources().values():
        if resource["Type"] == "AWS::QuickSight::Dashboard":
            for sheet in resource["Properties"]["Definition"]["Sheets"]:
                kinds[resource["Properties"]["Name"]] |= {next(iter(each)) for each in sheet["Visuals"]}
    assert kinds["Funnel"] == {"FunnelChartVisual"}
    assert "TableVisual" in kinds["Product performance"]
    assert {"LineChartVisual", "TableVisual"} <= kinds["Engagement"]
    assert {"LineChartVisual", "BarChartVisual"} <= kinds["Sales trends"]
    assert kinds["Segments"] == {"BarChartVisual"}
    shown = {name: {each.column for each in PANELS[name].measures} for names in QUICKSIGHT.values() for name in names}
    assert {"duration_s", "engaged_s"} <= shown["engagement_device"]
    assert PANELS["sales_category"].by == ("category",)
    assert "revenue" in shown["sales_day"] & shown["sales_category"]
    assert PANELS["segments"].by == ("segment",)
    names = {calculated_name(each) for each in PANELS["products"].measures if each.weight}
    assert names == {"view_to_cart by views", "cart_to_purchase by added"}
    assert filters(PANELS["sales_day"]) == ("country",)
