"""`python -m streaming --stream kafka://…`: the jobs, until SIGTERM; in the Spark environment (docs/scale.md)."""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from collector.streams.kafka import KafkaAddress, KafkaSettings
from contract.errors import MilepostError, Misconfigured
from contract.log_format import configure_logging
from contract.settings import load
from streaming.settings import StreamingSettings


def _session(name: str) -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_AUTH_SOCKET_TIMEOUT", "600")
    return (
        SparkSession.builder.appName(name)
        .master(os.environ.get("SPARK_MASTER", "local[2]"))
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-Xss4m")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.python.authenticate.socketTimeout", "10m")  # 15 s are too few for queries that wait in turn
        .config("spark.sql.streaming.stopTimeout", "30s")
        .getOrCreate()
    )


def main() -> None:
    """A query that fails ends the process with 1, so that whoever watches over it starts it anew."""
    parser = argparse.ArgumentParser(prog="python -m streaming", description=__doc__)
    parser.add_argument("--stream", required=True, metavar="URL", help="kafka://HOST:PORT[,HOST:PORT]/PREFIX")
    parser.add_argument("--config", type=Path, help="a milepost.toml to use instead of the one found")
    parser.add_argument("--until-caught-up", action="store_true", help="end with what lies in Kafka now")
    given = parser.parse_args()
    configure_logging(logging.INFO)
    try:
        settings = load("streaming", StreamingSettings, given.config)
        if not settings.database.startswith("postgresql://"):
            raise Misconfigured("[streaming] database is missing: set postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        address = KafkaAddress.of(given.stream, load("kafka", KafkaSettings, given.config))
    except MilepostError as error:
        sys.exit(f"milepost: {error}")
    from streaming.jobs import Jobs

    queries = Jobs(_session("milepost"), address, settings).start(until_caught_up=given.until_caught_up)
    signal.signal(signal.SIGTERM, lambda *_: [query.stop() for query in queries])
    for query in queries:
        query.awaitTermination()
        if failure := query.exception():
            sys.exit(f"milepost: job {query.name} failed: {failure}")


if __name__ == "__main__":
    main()
