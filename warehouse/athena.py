"""Athena over exported marts: the Glue tables, the workgroup and the ten named queries, as one CloudFormation template.

`python -m warehouse.athena` writes it to `warehouse/aws/athena.json`; a test fails where it is not that of the models.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warehouse.build import build
from warehouse.engines.duckdb import DuckDbEngine
from warehouse.lake.build import Lake, LakeSources
from warehouse.rendering import models
from warehouse.sources import Terms

TEMPLATE = Path(__file__).parent / "aws" / "athena.json"
Columns = list[tuple[str, str]]
_TYPES = {
    "VARCHAR": "string",
    "DOUBLE": "double",
    "BIGINT": "bigint",
    "INTEGER": "int",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "DATE": "date",
}

QUERIES = {
    "clicks per item": """
        SELECT item_id, max(item_name) AS item_name, sum(views) AS views, sum(clicks) AS clicks,
            sum(purchased) AS purchased
        FROM product_day GROUP BY item_id ORDER BY clicks DESC, item_id""",
    "funnel": """
        SELECT step, sum(sessions) AS sessions FROM funnel_day WHERE step <> 'unattributed' GROUP BY step""",
    "hourly traffic": "SELECT hour, page_views, sessions, users, conversion FROM traffic_hour ORDER BY hour",
    "sessions by device": """
        SELECT value AS device, sum(sessions) AS sessions, sum(revenue) AS revenue
        FROM audience_day WHERE dimension = 'device_type' GROUP BY value ORDER BY sessions DESC, device""",
    "revenue by category": """
        SELECT category, sum(revenue) AS revenue, sum(units) AS units
        FROM sales_day GROUP BY category ORDER BY revenue DESC""",
    "truck as of a time": """
        SELECT * FROM truck_history WHERE effective_start_date <= TIMESTAMP '2024-06-02 00:00:00'
        AND (effective_end_date IS NULL OR effective_end_date > TIMESTAMP '2024-06-02 00:00:00')""",
    "trips of a day": """
        SELECT truck_id, trip_start, trip_end, distance_km, fuel_l, idle_min FROM truck_trip
        WHERE CAST(trip_start AS DATE) = DATE '2024-06-02' ORDER BY truck_id, trip_start""",
    "fuel events": 'SELECT * FROM fuel_event ORDER BY "at" DESC',
    "completeness": """
        SELECT day, sum(expected) AS expected, sum(received) AS received, sum(late) AS late, sum(lost) AS lost,
            sum(refused) AS refused
        FROM completeness_day GROUP BY day ORDER BY day""",
    "rejected by reason": """
        SELECT source, reason, sum("rows") AS rejected
        FROM rejected_day GROUP BY source, reason ORDER BY rejected DESC""",
}
"""Name → SQL in Athena's dialect; names of marts need no schema where the database is chosen."""


def marts() -> dict[str, Columns]:
    """Mart → its columns with DuckDB's types, from a build of nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Lake(folder / "lake").build(LakeSources())
        engine = DuckDbEngine(folder / "warehouse.duckdb")
        build(folder / "lake", engine, Terms())
        found: dict[str, Columns] = {}
        for row in engine.query(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'marts' AND table_name <> 'build' ORDER BY table_name, ordinal_position"
        ):
            found.setdefault(row["table_name"], []).append((row["column_name"], row["data_type"]))
        return found


def template(columns: Mapping[str, Columns]) -> dict[str, Any]:
    """The CloudFormation template: parameters Bucket, Prefix and ScanLimit."""
    described = {model.name.removeprefix("marts."): model for model in models("athena")}
    database = {"Fn::Sub": "${Prefix}_marts"}
    resources: dict[str, Any] = {
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "DatabaseInput": {"Name": database, "Description": "Marts as `milepost warehouse export` writes them"},
            },
        },
        "WorkGroup": {
            "Type": "AWS::Athena::WorkGroup",
            "Properties": {
                "Name": {"Fn::Sub": "${Prefix}-warehouse"},
                "Description": "Queries of the marts, each within a limit of scanned bytes",
                "RecursiveDeleteOption": True,
                "WorkGroupConfiguration": {
                    "EnforceWorkGroupConfiguration": True,
                    "PublishCloudWatchMetricsEnabled": True,
                    "BytesScannedCutoffPerQuery": {"Ref": "ScanLimit"},
                    "ResultConfiguration": {
                        "OutputLocation": {"Fn::Sub": "s3://${Bucket}/athena-results/"},
                        "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
                    },
                },
            },
        },
    }
    for mart, named in columns.items():
        model = described[mart]
        resources[f"Mart{_title(mart)}"] = _table(mart, model.description, named)
    resources["Build"] = _table(
        "build", "Which lake build the marts are of", [("build", "BIGINT"), ("models", "VARCHAR")]
    )
    for query, sql in QUERIES.items():
        resources[f"Query{_title(query)}"] = {
            "Type": "AWS::Athena::NamedQuery",
            "Properties": {
                "Name": query,
                "Database": {"Ref": "Database"},
                "WorkGroup": {"Ref": "WorkGroup"},
                "QueryString": "\n".join(line.strip() for line in sql.strip().splitlines()),
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Milepost: Athena over the exported marts (docs/athena.md). Made by python -m warehouse.athena.",
        "Parameters": {
            "Bucket": {"Type": "String", "Description": "Holds marts/NAME/*.parquet, and gets the results"},
            "Prefix": {"Type": "String", "Default": "milepost", "AllowedPattern": "[a-z][a-z0-9_]{0,30}"},
            "ScanLimit": {"Type": "Number", "Default": 10_000_000_000, "MinValue": 10_000_000},
        },
        "Resources": resources,
        "Outputs": {"WorkGroupName": {"Value": {"Ref": "WorkGroup"}}, "DatabaseName": {"Value": {"Ref": "Database"}}},
    }


def _title(name: str) -> str:
    return name.replace("_", " ").title().replace(" ", "")


def _table(mart: str, description: str, columns: Columns) -> dict[str, Any]:
    parquet = "org.apache.hadoop.hive.ql.io.parquet"
    storage = {
        "Location": {"Fn::Sub": f"s3://${{Bucket}}/marts/{mart}/"},
        "InputFormat": f"{parquet}.MapredParquetInputFormat",
        "OutputFormat": f"{parquet}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{parquet}.serde.ParquetHiveSerDe"},
        "Columns": [{"Name": name, "Type": _TYPES[kind]} for name, kind in columns],
    }
    table = {
        "Name": mart,
        "Description": description[:255],
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "StorageDescriptor": storage,
    }
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "DatabaseName": {"Ref": "Database"},
            "TableInput": table,
        },
    }


def text() -> str:
    """The template as it is kept: a resource a line, since CloudFormation takes 51,200 bytes and no more."""
    made = template(marts())
    resources = made.pop("Resources")
    listed = ",\n".join(f"{json.dumps(name)}:{_compact(each)}" for name, each in resources.items())
    parts = [f"{json.dumps(name)}:{_compact(each)}" for name, each in made.items()]
    return "{" + ",\n".join([*parts, f'"Resources":{{\n{listed}\n}}']) + "}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    TEMPLATE.write_text(text(), encoding="utf-8")
