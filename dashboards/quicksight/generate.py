"""Writes dashboards/quicksight/template.json: `python -m dashboards.quicksight.generate`; a test finds drift."""

import json
from pathlib import Path
from typing import Any

from dashboards.panels import Panel
from dashboards.panels.sql import quoted
from dashboards.panels.views import PANELS, QUICKSIGHT
from dashboards.quicksight.visuals import calculated_fields, column_type, data_columns, visual

Json = dict[str, Any]
TEMPLATE = Path(__file__).with_name("template.json")
_DASHBOARD = ("DescribeDashboard", "ListDashboardVersions", "QueryDashboard")
_ANALYSIS = ("DescribeAnalysis", "QueryAnalysis", "UpdateAnalysis", "DescribeAnalysisPermissions", "RestoreAnalysis",
             "DeleteAnalysis", "UpdateAnalysisPermissions")  # fmt: skip
_DATA_SET = ("DescribeDataSet", "DescribeDataSetPermissions", "PassDataSet", "DescribeIngestion", "ListIngestions")
_COUNTRY = {"sales_day", "session", "customer"}
_ACCOUNT = {"Ref": "AWS::AccountId"}


def template() -> Json:
    """The stack: a data source, a data set per mart, and one analysis and one dashboard per subject."""
    resources: Json = {"Source": _source()}
    for title, names in QUICKSIGHT.items():
        panels = [PANELS[name] for name in names]
        for panel in panels:
            resources[_logical("Data", panel.name)] = _data_set(panel)
        definition = _definition(title, panels)
        resources[_logical("Analysis", title)] = _analysis(title, definition)
        resources[_logical("Dashboard", title)] = _dashboard(title, definition)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Milepost: QuickSight over the marts in Athena. Optional, beside the main stack.",
        "Parameters": {
            "Prefix": {"Type": "String", "Default": "milepost", "AllowedPattern": "[a-z0-9-]{1,40}"},
            "WorkGroup": {
                "Type": "String", "Default": "milepost-warehouse",
                "Description": "Of Athena: WorkGroupName of the stack milepost-athena",
            },
            "Database": {
                "Type": "String", "Default": "milepost_marts", "AllowedPattern": "[a-z0-9_]{1,255}",
                "Description": "With the marts: DatabaseName of the stack milepost-athena",
            },
            "PrincipalArn": {
                "Type": "String", "AllowedPattern": "arn:aws[a-z-]*:quicksight:.*",
                "Description": "The QuickSight user or group that may see the dashboards and edit the analyses",
            },
        },
        "Resources": resources,
    }  # fmt: skip


def _logical(kind: str, name: str) -> str:
    return kind + "".join(part.capitalize() for part in name.replace("_", " ").split())


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def _id(name: str) -> Json:
    return {"Fn::Sub": "${Prefix}-" + name.lower().replace("_", "-").replace(" ", "-")}


def _allow(actions: tuple[str, ...]) -> list[Json]:
    return [{"Principal": {"Ref": "PrincipalArn"}, "Actions": [f"quicksight:{each}" for each in actions]}]


def _source() -> Json:
    return {
        "Type": "AWS::QuickSight::DataSource",
        "Properties": {
            "AwsAccountId": _ACCOUNT, "DataSourceId": _id("marts"), "Name": "Milepost marts", "Type": "ATHENA",
            "DataSourceParameters": {"AthenaParameters": {"WorkGroup": {"Ref": "WorkGroup"}}},
            "Permissions": _allow(("DescribeDataSource", "DescribeDataSourcePermissions", "PassDataSource")),
        },
    }  # fmt: skip


def filters(panel: Panel) -> tuple[str, ...]:
    """The columns by which the dashboard is narrowed, beside its period."""
    return ("country",) if panel.mart in _COUNTRY else ()


def _data_set(panel: Panel) -> Json:
    columns = data_columns(panel, filters(panel))
    sql = f'SELECT {", ".join(map(quoted, columns))} FROM "${{Database}}".{panel.mart}'
    table = {
        "DataSourceArn": {"Fn::GetAtt": ["Source", "Arn"]}, "Name": panel.mart, "SqlQuery": {"Fn::Sub": sql},
        "Columns": [{"Name": column, "Type": column_type(panel, column)} for column in columns],
    }  # fmt: skip
    return {
        "Type": "AWS::QuickSight::DataSet",
        "Properties": {
            "AwsAccountId": _ACCOUNT, "DataSetId": _id(panel.name), "Name": panel.title, "ImportMode": "DIRECT_QUERY",
            "PhysicalTableMap": {panel.mart.replace("_", "-"): {"CustomSql": table}}, "Permissions": _allow(_DATA_SET),
        },
    }  # fmt: skip


def _definition(title: str, panels: list[Panel]) -> Json:
    sheet = {"SheetId": _slug(title), "Name": title, "Visuals": [visual(panel, panel.name) for panel in panels]}
    return {
        "DataSetIdentifierDeclarations": [
            {"Identifier": panel.name, "DataSetArn": {"Fn::GetAtt": [_logical("Data", panel.name), "Arn"]}}
            for panel in panels
        ],
        "Sheets": [sheet],
        "CalculatedFields": [field for panel in panels for field in calculated_fields(panel, panel.name)],
        "FilterGroups": [group for panel in panels for group in _filter_groups(panel, _slug(title))],
    }


def _filter_groups(panel: Panel, sheet: str) -> list[Json]:
    found: list[dict[str, Json]] = []
    name = panel.name.replace("_", "-")
    if panel.time:
        column = {"DataSetIdentifier": panel.name, "ColumnName": panel.time[0]}
        control = {"Title": "Period", "ControlOptions": {"DefaultRelativeDateTimeOptions": {}}}
        found.append(
            {
                "RelativeDatesFilter": {
                    "FilterId": f"{name}-period", "Column": column, "TimeGranularity": "DAY",
                    "RelativeDateType": "LAST",
                    "RelativeDateValue": 90, "AnchorDateConfiguration": {"AnchorOption": "NOW"},
                    "NullOption": "NON_NULLS_ONLY", "DefaultFilterControlConfiguration": control,
                }
            }
        )  # fmt: skip
    for each in filters(panel):
        column = {"DataSetIdentifier": panel.name, "ColumnName": each}
        listed = {"MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES", "NullOption": "ALL_VALUES"}
        control = {
            "Title": each.capitalize(),
            "ControlOptions": {"DefaultDropdownOptions": {"Type": "MULTI_SELECT"}},
        }
        found.append(
            {
                "CategoryFilter": {
                    "FilterId": f"{name}-{each}", "Column": column,
                    "Configuration": {"FilterListConfiguration": listed}, "DefaultFilterControlConfiguration": control,
                }
            }
        )  # fmt: skip
    scope = {
        "SelectedSheets": {
            "SheetVisualScopingConfigurations": [
                {"SheetId": sheet, "Scope": "SELECTED_VISUALS", "VisualIds": [name]},
            ]
        }
    }
    return [
        {
            "FilterGroupId": next(iter(each.values()))["FilterId"] + "-group", "Filters": [each],
            "ScopeConfiguration": scope, "Status": "ENABLED", "CrossDataset": "SINGLE_DATASET",
        }
        for each in found
    ]  # fmt: skip


def _analysis(title: str, definition: Json) -> Json:
    return {
        "Type": "AWS::QuickSight::Analysis",
        "Properties": {
            "AwsAccountId": _ACCOUNT, "AnalysisId": _id(f"{title}-analysis"), "Name": title, "Definition": definition,
            "Permissions": _allow(_ANALYSIS),
        },
    }  # fmt: skip


def _dashboard(title: str, definition: Json) -> Json:
    return {
        "Type": "AWS::QuickSight::Dashboard",
        "Properties": {
            "AwsAccountId": _ACCOUNT, "DashboardId": _id(f"{title}-dashboard"), "Name": title, "Definition": definition,
            "Permissions": _allow(_DASHBOARD),
        },
    }  # fmt: skip


def text() -> str:
    """The template as it stands in the file."""
    return json.dumps(template(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TEMPLATE.write_text(text(), encoding="utf-8")
