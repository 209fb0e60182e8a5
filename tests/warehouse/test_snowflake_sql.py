"""The SQL files for Snowflake: all of them parse, and the MERGE is right for late, doubled and shuffled rows."""

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from contract import timestamps
from tests.milepost_process import REPOSITORY
from tests.warehouse.fleet import Fleet, Record, at, drive

FILES = sorted((REPOSITORY / "warehouse" / "snowflake").glob("*.sql"))
START = "2024-06-01T23:50:00.000Z"


def _statements(path: Path) -> list[exp.Expression]:
    return [each for each in sqlglot.parse(path.read_text(encoding="utf-8"), read="snowflake") if each is not None]


def test_the_files_are_there_in_their_order() -> None:
    names = ["01_roles", "02_storage_integration", "03_stages", "04_tables", "05_pipes", "06_merge_task", "07_checks"]
    assert [path.stem for path in FILES] == [*names, "99_teardown"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_statement_is_one_that_the_parser_knows(path: Path) -> None:
    found = _statements(path)
    assert found
    assert "AWS_SECRET" not in path.read_text(encoding="utf-8").upper()


def _merges() -> Iterator[str]:
    """The statement of each task."""
    text = (REPOSITORY / "warehouse" / "snowflake" / "06_merge_task.sql").read_text(encoding="utf-8")
    for part in text.split("\nAS\n")[1:]:
        yield part.split(";")[0]


def _program(batches: list[list[Record]]) -> dict[str, list[str]]:
    """Tables and view, then each batch: loaded as a pipe would, and merged."""
    tables = (REPOSITORY / "warehouse" / "snowflake" / "04_tables.sql").read_text(encoding="utf-8")
    made = [each for each in tables.split(";") if "CREATE" in each]
    steps = ["CREATE SCHEMA IF NOT EXISTS LANDING", "USE SCHEMA LANDING", *made]
    merge = next(_merges())
    for batch in batches:
        steps.append("CREATE OR REPLACE TABLE TELEMETRY_NEW (DOCUMENT VARIANT)")
        for record in batch:
            received = at(record["sampled_at"], 1)
            line = json.dumps({"received_at": received, "truck_id": record["truck_id"], "record": record})
            for table in ("TELEMETRY_RAW (DOCUMENT)", "TELEMETRY_NEW"):
                steps.append(f"INSERT INTO {table} SELECT PARSE_JSON('{line}')")
        steps.append(merge)
    columns = "TRUCK_ID, TO_VARCHAR(EFFECTIVE_START_DATE), TO_VARCHAR(EFFECTIVE_END_DATE), IS_CURRENT, BRAKE_STATUS"
    return {"steps": steps, "query": [f"SELECT {columns} FROM TRUCK_TELEMETRY_DATA ORDER BY 1, 2"]}


_RUN = """
import json, sys
import fakesnow, snowflake.connector
program = json.load(open(sys.argv[1]))
with fakesnow.patch():
    cursor = snowflake.connector.connect(database="MILEPOST", schema="PUBLIC").cursor()
    for step in program["steps"]:
        cursor.execute(step)
    print(json.dumps(cursor.execute(program["query"][0]).fetchall()))
"""


def test_versions_by_merge_are_those_of_the_collector(fleet: Fleet, tmp_path: Path) -> None:
    """A brake status that changes twice, told late, twice and in any order, on two trucks."""
    python = REPOSITORY / ".venv-snowflake" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venv-snowflake: `make .venv-snowflake/ready` makes it")
    records = [
        *drive("T1", START, [50] * 3),
        *drive("T1", "2024-06-02T00:10:00.000Z", [50] * 3, seq=10, brakes="worn"),
        *drive("T1", "2024-06-02T01:10:00.000Z", [50] * 2, seq=20),
        *drive("T2", START, [50], brakes="worn"),
    ]
    fleet.take(records)
    fleet.build()
    fleet.build_marts()
    told = [*records, *records[::2]]
    random.Random(7).shuffle(told)
    path = tmp_path / "program.json"
    path.write_text(json.dumps(_program([told[:4], told[4:9], told[9:]])), encoding="utf-8")
    done = subprocess.run([python, "-P", "-c", _RUN, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [
        (truck, _instant(start), end and _instant(end), current, brakes)
        for truck, start, end, current, brakes in json.loads(done.stdout)
    ]
    assert found == [
        tuple(row.values())
        for row in fleet.query(
            "SELECT truck_id, effective_start_date, effective_end_date, is_current, brake_status"
            " FROM truck_history ORDER BY 1, 2"
        )
    ]
    assert len(found) == 4


def _instant(text: str) -> str:
    return timestamps.from_datetime(timestamps.to_datetime(text.replace(" ", "T")[:19] + ".000Z"))
