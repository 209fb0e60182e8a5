"""The streaming jobs: from decoded rows to the live tables.

Each job reads its topic, drops repeats by identity within the watermark, and writes what it has counted. Output modes:
`append` for raw events and for sessions, which are written once they are over; `update` for the hours that a batch
changed; `complete` for the totals, which are few. What comes later than the watermark is dropped here, counted in
`live.late_rows`, and right after the next warehouse build.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery, StreamingQueryListener

from collector.streams.kafka import KafkaAddress
from streaming import live_tables
from streaming.kafka_source import FORMAT, KafkaSource
from streaming.settings import StreamingSettings

log = logging.getLogger(__name__)

_SESSION = "30 minutes"


@dataclass(frozen=True, slots=True)
class Job:
    """One query. kind: of the topic it reads. mode: Spark's output mode. shape: rows → what is written, by table."""

    name: str
    kind: str
    mode: str
    shape: Callable[[DataFrame], DataFrame]


def _once(rows: DataFrame, kind: str, watermark: str) -> DataFrame:
    return rows.where(F.col("kind") == kind).withWatermark("at", watermark).dropDuplicatesWithinWatermark(["identity"])


def _hour(frame: DataFrame) -> DataFrame:
    return frame.withColumn("hour", F.col("window.start")).drop("window")


def _count(event_type: str) -> Any:
    return F.sum(F.when(F.col("event_type") == event_type, 1).otherwise(0))


def _traffic(rows: DataFrame) -> DataFrame:
    bought = F.when(F.col("event_type") == "purchase", F.coalesce("order_id", "identity"))
    return _hour(
        rows.groupBy(F.window("at", "1 hour")).agg(
            F.count("*").alias("events"),
            _count("page_view").alias("page_views"),
            F.size(F.collect_set("user_id")).alias("users"),
            F.size(F.collect_set(bought)).alias("purchases"),
            F.sum("revenue").alias("revenue"),
        )
    )


def _products(rows: DataFrame) -> DataFrame:
    def clicked(event_type: str) -> Any:
        return F.sum(F.when(F.col("event_type") == event_type, F.col("count")).otherwise(0))

    named = rows.where(F.col("item_id").isNotNull())
    return _hour(
        named.groupBy(F.window("at", "1 hour"), "item_id").agg(
            clicked("view").alias("views"), clicked("click").alias("clicks"), _count("add_to_cart").alias("added")
        )
    )


def _trucks(rows: DataFrame) -> DataFrame:
    return _hour(
        rows.groupBy(F.window("at", "1 hour"), "truck_id").agg(
            F.count("*").alias("samples"),
            F.max("speed").alias("max_speed_kmh"),
            (F.max("odometer") - F.min("odometer")).alias("distance_km"),
        )
    )


def _sessions(rows: DataFrame) -> DataFrame:
    gap = F.session_window("at", _SESSION).alias("gap")
    return (
        rows.where(F.col("session_id").isNotNull())
        .groupBy("session_id", gap)
        .agg(
            F.count("*").alias("events"),
            _count("page_view").alias("page_views"),
            _count("add_to_cart").alias("added"),
            _count("purchase").alias("purchased"),
            F.sum("revenue").alias("revenue"),
        )
        .withColumn("started_at", F.col("gap.start"))
        .withColumn("ended_at", F.col("gap.end") - F.expr(f"INTERVAL {_SESSION}"))
        .drop("gap")
    )


def _totals(rows: DataFrame) -> DataFrame:
    return rows.groupBy("event_type").agg(F.count("*").alias("events"))


JOBS = (
    Job("traffic_hour", "click", "update", _traffic),
    Job("product_hour", "click", "update", _products),
    Job("session", "click", "append", _sessions),
    Job("event_total", "click", "complete", _totals),
    Job("truck_hour", "telemetry", "update", _trucks),
)


class Jobs:
    """All queries of one database and one place on Kafka.

    Args:
        spark: the session.
        address: where the topics are.
        settings: database, checkpoints and limits.
    """

    def __init__(self, spark: SparkSession, address: KafkaAddress, settings: StreamingSettings) -> None:
        self._spark, self._address, self._settings = spark, address, settings
        self._run = _run_of(settings.checkpoints)
        spark.dataSource.register(KafkaSource)
        spark.streams.addListener(_Late(settings.database, self._run))
        live_tables.migrate(settings.database)

    def start(self, *, until_caught_up: bool) -> list[StreamingQuery]:
        """Start every query; with `until_caught_up` each ends when it has what lay in Kafka at its start."""
        queries = []
        for kind in ("click", "telemetry"):
            queries.append(self._start(f"raw_{kind}", kind, "append", self._raw, until_caught_up))
            _wait(queries[-1], until_caught_up)
        for job in JOBS:
            queries.append(self._counting(job, until_caught_up))
            _wait(queries[-1], until_caught_up)
        return queries

    def _counting(self, job: Job, until_caught_up: bool) -> StreamingQuery:
        def shape(rows: DataFrame) -> DataFrame:
            return job.shape(_once(rows, job.kind, self._settings.watermark))

        def write(batch: DataFrame, batch_id: int) -> None:
            rows = [row.asDict() for row in batch.collect()]
            live_tables.upsert(self._settings.database, job.name, rows, run=self._run, batch_id=batch_id)

        return self._start(job.name, job.kind, job.mode, write, until_caught_up, shape)

    def _raw(self, batch: DataFrame, batch_id: int) -> None:
        columns = ("topic", "partition", "offset", "identity", "kind", "at", "received_at", "document")
        live_tables.keep_raw(self._settings.database, batch.select(*columns).toLocalIterator())
        log.info("raw_kept batch=%d", batch_id)

    def _start(  # noqa: PLR0913 - one query's parts
        self,
        name: str,
        kind: str,
        mode: str,
        write: Callable[[DataFrame, int], None],
        until_caught_up: bool,
        shape: Callable[[DataFrame], DataFrame] = lambda rows: rows,
    ) -> StreamingQuery:
        topic = next(topic for topic, held in self._address.topics.items() if held == kind)
        rows = (
            self._spark.readStream.format(FORMAT)
            .option("client", json.dumps(self._address.client()))
            .option("topic", topic)
            .option("kind", kind)
            .option("records", str(self._settings.records))
            .load()
        )
        writer = (
            shape(rows)
            .writeStream.queryName(name)
            .outputMode(mode)
            .option("checkpointLocation", str(self._settings.checkpoints.absolute() / name))
            .foreachBatch(write)
        )
        seconds = f"{self._settings.trigger_seconds} seconds"
        writer = writer.trigger(availableNow=True) if until_caught_up else writer.trigger(processingTime=seconds)
        return writer.start()


def _wait(query: StreamingQuery, until_caught_up: bool) -> None:
    """One query after the other: each starts Python workers, and Spark gives those ten seconds to connect."""
    if until_caught_up:
        query.awaitTermination()
    while query.isActive and query.lastProgress is None:
        time.sleep(0.5)


class _Late(StreamingQueryListener):
    """Writes down what the watermarks drop."""

    def __init__(self, database: str, run: str) -> None:
        self._database, self._run = database, run

    def onQueryStarted(self, event: Any) -> None:
        log.info("job_started name=%s", event.name)

    def onQueryProgress(self, event: Any) -> None:
        progress = event.progress
        dropped = sum(operator.numRowsDroppedByWatermark for operator in progress.stateOperators)
        log.info("job_went_on name=%s batch=%d rows=%d", progress.name, progress.batchId, progress.numInputRows)
        if dropped:
            live_tables.note_late(self._database, progress.name, self._run, progress.batchId, dropped)

    def onQueryIdle(self, event: Any) -> None:
        pass

    def onQueryTerminated(self, event: Any) -> None:
        log.info("job_ended id=%s error=%s", event.id, event.exception)


def _run_of(checkpoints: Path) -> str:
    """The name of the run, which lives and goes with the checkpoints."""
    file = checkpoints / "run"
    if not file.exists():
        checkpoints.mkdir(parents=True, exist_ok=True)
        file.write_text(secrets.token_hex(8), encoding="ascii")
    return file.read_text(encoding="ascii")
