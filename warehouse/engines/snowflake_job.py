"""Runs steps (warehouse.engines.handover) on Snowflake; imports nothing but its connector.

`python snowflake_job.py STEPS`: the connection comes from the environment, as one JSON object of `connect`'s arguments
in MILEPOST_SNOWFLAKE, so that no secret stands on a command line.
"""

import datetime
import decimal
import json
import os
import sys
from pathlib import Path

import snowflake.connector


def main(steps: Path) -> dict[str, object]:
    try:
        connection = snowflake.connector.connect(**json.loads(os.environ["MILEPOST_SNOWFLAKE"]))
    except Exception as error:  # noqa: BLE001 - a job's door: whatever the connector says is its answer
        return {"error": f"no connection: {str(error)[:800]}"}
    counts: dict[str, object] = {}
    step: dict[str, str] = {}
    try:
        cursor = connection.cursor()
        for step in json.loads(steps.read_text(encoding="utf-8")):
            if "run" in step:
                cursor.execute(step["run"])
            elif "put" in step:
                cursor.execute(f"PUT 'file://{step['put']}' {step['stage']} AUTO_COMPRESS = TRUE OVERWRITE = TRUE")
            elif "query" in step:
                cursor.execute(step["query"])
                names = [column[0] for column in cursor.description]
                return {"names": names, "rows": [[_plain(value) for value in row] for row in cursor.fetchall()]}
            else:
                row = cursor.execute(step.get("audit") or step["count"]).fetchone()
                if "count" in step:
                    counts[step["name"]] = row[0]
                elif row:
                    return {"audit": step["name"], "row": str(row)[:400]}
        return {"marts": counts}
    except Exception as error:  # noqa: BLE001 - see above
        return {"error": f"{str(error)[:800]} in {str(step)[:400]}"}
    finally:
        connection.close()


def _plain(value: object) -> object:
    """A value as JSON carries it: instants and days as ISO texts, whole numbers whole."""
    if isinstance(value, datetime.datetime):
        return {"instant": value.isoformat()}
    if isinstance(value, datetime.date):
        return {"day": value.isoformat()}
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201 - the answer
