"""The marts in Snowflake: made beside the old ones, whose rows are exchanged in one transaction.

The models' sources are put on a temporary stage as CSV and copied, as every engine gets them: JSON and
Parquet are taken apart in one place. Rights on the marts stay. Names are upper case, as Snowflake reads names without
quotes.
"""

import json
import os
import tempfile
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from contract.errors import Misconfigured, Unreachable
from warehouse.engines import LakeView, Rows
from warehouse.engines.handover import Columns, Step, model_steps, run, write_sources

_TYPES = {
    "VARCHAR": "VARCHAR",
    "DOUBLE": "FLOAT",
    "BIGINT": "NUMBER(38, 0)",
    "INTEGER": "NUMBER(38, 0)",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DATE": "DATE",
}
_BESIDE = {"lake": "lake_new", "base": "base_new", "marts": "marts_new"}
_FORMAT = "TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"' EMPTY_FIELD_AS_NULL = TRUE"


class SnowflakeEngine:
    """The `Engine` on Snowflake.

    Args:
        url: `snowflake://USER@ACCOUNT/DATABASE?warehouse=…&role=…`; further parameters go to the connector
            (`private_key_file`, `authenticator`, `host` …). A password comes from the URL or SNOWFLAKE_PASSWORD.
        python: of the environment that has the connector.
    """

    def __init__(self, url: str, python: Path) -> None:
        self._connection, self._python = connection_of(url), python

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def holds(self) -> tuple[int, str] | None:
        try:
            rows = self.query("SELECT build, models FROM build")
        except Misconfigured:
            return None
        return (rows[0]["build"], rows[0]["models"]) if rows else None

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sources = write_sources(lake, folder / "sources", "csv")
            steps: list[Step] = [{"run": "CREATE SCHEMA IF NOT EXISTS marts"}]
            for schema in _BESIDE.values():
                steps += [{"run": f"DROP SCHEMA IF EXISTS {schema} CASCADE"}, {"run": f"CREATE SCHEMA {schema}"}]
            steps.append({"run": "CREATE OR REPLACE TEMPORARY STAGE lake_new.handover"})
            for source, columns in sources.items():
                steps += _load(folder / "sources" / f"{source}.csv", source, columns)
            made = list(model_steps("snowflake", "CREATE TABLE {name} AS"))
            steps += [{key: _beside(text) if key != "name" else text for key, text in step.items()} for step in made]
            marts = [step["name"] for step in made if "count" in step]
            steps += _exchange(marts, lake.build, models_digest)
            steps += [{"run": f"DROP SCHEMA {schema} CASCADE"} for schema in _BESIDE.values()]
            counts: dict[str, int] = self._run(folder, steps)["marts"]
        return counts

    def query(self, sql: str) -> Rows:
        with tempfile.TemporaryDirectory() as name:
            try:
                answer = self._run(Path(name), [{"run": "USE SCHEMA marts"}, {"query": sql}])
            except Unreachable as error:
                if "no connection" in str(error):
                    raise
                raise Misconfigured(f"the warehouse refuses the SQL: {error}") from None
        names = [column.lower() for column in answer["names"]]
        return [dict(zip(names, map(_value, row), strict=True)) for row in answer["rows"]]

    def has_landing(self) -> bool:
        """Whether the tables of warehouse/snowflake/*.sql are there."""
        named = "table_schema = 'LANDING' AND table_name = 'TRUCK_TELEMETRY_DATA'"
        return bool(self.query(f"SELECT table_name FROM information_schema.tables WHERE {named}"))

    def loads(self) -> list[tuple[str, str, str | None]]:
        """How the pipes do: (check, what Snowflake says, problem) of each pipe and of the files of the last 7 days."""
        found: list[tuple[str, str, str | None]] = []
        for pipe in ("TELEMETRY_PIPE", "CLICK_PIPE"):
            status = str(self.query(f"SELECT SYSTEM$PIPE_STATUS('LANDING.{pipe}') AS status")[0]["status"])
            state = json.loads(status).get("executionState", "unknown")
            found.append((pipe.lower(), state, None if state == "RUNNING" else f"the pipe is {state}: {status:.200}"))
        for table in ("TELEMETRY_RAW", "CLICK_RAW"):
            rows = self.query(
                "SELECT COUNT(*) AS files, SUM(IFF(status = 'Loaded', 0, 1)) AS failed,"
                " MAX(first_error_message) AS error"
                f" FROM TABLE(information_schema.copy_history(table_name => 'LANDING.{table}',"
                " start_time => DATEADD('DAY', -7, CURRENT_TIMESTAMP())))"
            )
            files, failed, error = rows[0]["files"], rows[0]["failed"] or 0, rows[0]["error"]
            found.append((f"files of {table.lower()}", str(files), f"{failed} failed: {error}" if failed else None))
        return found

    def _run(self, folder: Path, steps: list[Step]) -> dict[str, Any]:
        secret = {"MILEPOST_SNOWFLAKE": json.dumps(self._connection)}
        return run("snowflake_job", self._python, folder, steps, environment=secret)


def connection_of(url: str) -> dict[str, Any]:
    """The connector's arguments of a `snowflake://` URL.

    Raises:
        Misconfigured: it names no account or no database.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if not (parts.hostname and parts.username and database):
        raise Misconfigured("--engine: give snowflake://USER@ACCOUNT/DATABASE?warehouse=…&role=…")
    found: dict[str, Any] = {"account": parts.hostname, "user": unquote(parts.username), "database": database}
    password = unquote(parts.password) if parts.password else os.environ.get("SNOWFLAKE_PASSWORD")
    if password:
        found["password"] = password
    found.update(parse_qsl(parts.query))
    return {**found, "session_parameters": {"TIMEZONE": "UTC"}}


def _load(path: Path, source: str, columns: Columns) -> list[Step]:
    declared = ", ".join(f'"{name.upper()}" {_TYPES[kind]}' for name, kind in columns)
    created: Step = {"run": f"CREATE TABLE lake_new.{source} ({declared})"}
    if path.stat().st_size == 0:
        return [created]
    return [
        created,
        {"put": str(path), "stage": f"@lake_new.handover/{source}"},
        {"run": f"COPY INTO lake_new.{source} FROM @lake_new.handover/{source} FILE_FORMAT = ({_FORMAT})"},
    ]


def _exchange(marts: list[str], build: int, models_digest: str) -> list[Step]:
    """Tables first, since DDL ends a transaction in Snowflake; then all rows in one."""
    steps: list[Step] = [{"run": f"CREATE TABLE IF NOT EXISTS marts.{name} LIKE marts_new.{name}"} for name in marts]
    steps.append({"run": "CREATE TABLE IF NOT EXISTS marts.build (build NUMBER(38, 0), models VARCHAR)"})
    steps.append({"run": "BEGIN"})
    for name in marts:
        steps += [
            {"run": f"DELETE FROM marts.{name}"},
            {"run": f"INSERT INTO marts.{name} SELECT * FROM marts_new.{name}"},
        ]
    steps += [
        {"run": "DELETE FROM marts.build"},
        {"run": f"INSERT INTO marts.build VALUES ({build}, '{models_digest}')"},
        {"run": "COMMIT"},
    ]
    return steps


def _beside(statement: str) -> str:
    for schema, beside in _BESIDE.items():
        statement = statement.replace(f'"{schema.upper()}".', f'"{beside.upper()}".').replace(
            f" {schema}.", f" {beside}."
        )
    return statement


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["instant"]) if "instant" in value else date.fromisoformat(value["day"])
    return value
