"""`python -m streaming --stream kafka://…`: the jobs, until SIGTERM; in the Spark environment (docs/scale.md).

SIGTERM is for this process alone: it stops the queries, and its JVM after them.
"""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from collector.streams.kafka import KafkaAddress, KafkaSettings
from contract.errors import MilepostError, Misconfigured
from contract.forgotten import Forgotten
from contract.log_format import configure_logging
from contract.process_signals import stop_event
from contract.settings import load
from streaming.settings import StreamedDataDir, StreamedMoney, StreamingSettings

log = logging.getLogger(__name__)


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
    """A query that fails ends all and the process with 1, so that whoever watches over it starts it anew."""
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
        money = load("warehouse", StreamedMoney, given.config)
        marks = Forgotten(load("collector", StreamedDataDir, given.config).data_dir)
        address = KafkaAddress.of(given.stream, load("kafka", KafkaSettings, given.config))
    except MilepostError as error:
        sys.exit(f"milepost: {error}")
    from streaming.jobs import Jobs

    stopped = stop_event()
    session = _session("milepost")
    jobs = Jobs(session, address, settings, money, marks)
    failed = jobs.watch(jobs.start(stopped, until_caught_up=given.until_caught_up), stopped)
    session.stop()
    if failed:
        sys.exit(f"milepost: {failed}")
    log.info("ended")


if __name__ == "__main__":
    main()
