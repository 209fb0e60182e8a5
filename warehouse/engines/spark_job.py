"""Runs steps (warehouse.engines.handover) on a local Spark; imports nothing but pyspark.

`python spark_job.py STEPS WAREHOUSE`: tables are Parquet under WAREHOUSE.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def main(steps: Path, warehouse: Path) -> dict[str, object]:
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("milepost-warehouse")
        .config("spark.sql.warehouse.dir", str(warehouse))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.timestampType", "TIMESTAMP_NTZ")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.sources.default", "parquet")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-Xss4m")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    counts = {}
    try:
        for step in json.loads(steps.read_text(encoding="utf-8")):
            if "run" in step:
                spark.sql(step["run"])
            elif "audit" in step:
                found = spark.sql(step["audit"]).take(1)
                if found:
                    return {"audit": step["name"], "row": str(found[0].asDict())[:400]}
            else:
                counts[step["name"]] = spark.sql(step["count"]).collect()[0][0]
        return {"marts": counts}
    except Exception as error:  # noqa: BLE001 - a job's door: whatever Spark says is its answer
        return {"error": f"{str(error)[:800]} in {step}"}
    finally:
        spark.stop()


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201 - the answer
