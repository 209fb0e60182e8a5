"""The streaming jobs: from decoded rows to the live tables.

Each job reads its topic, drops repeats by identity within the watermark, and writes what it has counted. Output modes:
`append` for raw events and for sessions, which are written once they are over; `update` for the hours that a batch
changed; `complete` for the totals, which are few. What comes later than the watermark is dropped here, counted in
`live.late_rows`, and right after the next warehouse build. The views of the schema make of these tables what the marts
hold, column by column.
"""

import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery, StreamingQueryListener

from collector.streams.kafka import KafkaAddress
from contract import atomic_file
from contract.forgotten import Forgotten
from streaming import live_tables, raw_events
from streaming.decoding import SIGNALS
from streaming.kafka_source import FORMAT, KafkaSource
from streaming.settings import StreamedMoney, StreamingSettings

log = logging.getLogger(__name__)

_SESSION = "30 minutes"
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Job:
    """One query. kind: of the topic it reads. mode: Spark's output mode. shape: rows → what is written, by table."""

    name: str
    kind: str
    mode: str
    shape: Callable[[DataFrame], DataFrame]


def _once(rows: DataFrame, kind: str, watermark: str) -> DataFrame:
    """Each event or sample once, bots left out as in the marts."""
    wanted = rows.where((F.col("kind") == kind) & ~F.coalesce("is_bot", F.lit(False)))
    return wanted.withWatermark("at", watermark).dropDuplicatesWithinWatermark(["identity"])


def _hour(frame: DataFrame) -> DataFrame:
    return frame.withColumn("hour", F.col("window.start")).drop("window")


def _count(event_type: str) -> Any:
    return F.sum(F.when(F.col("event_type") == event_type, 1).otherwise(0))


def _traffic(rows: DataFrame) -> DataFrame:
    return _hour(
        rows.groupBy(F.window("at", "1 hour")).agg(
            F.count("*").alias("events"),
            _count("page_view").alias("page_views"),
            F.size(F.collect_set("user_id")).alias("users"),
        )
    )


def _products(rows: DataFrame) -> DataFrame:
    each = rows.select("at", F.explode("touched").alias("of"))
    return _hour(
        each.groupBy(F.window("at", "1 hour"), F.col("of.item_id").alias("item_id")).agg(
            *(F.sum(f"of.{name}").alias(name) for name in ("views", "clicks", "added"))
        )
    )


def _trucks(rows: DataFrame) -> DataFrame:
    figures = (("min", F.min), ("mean", F.avg), ("max", F.max))
    signals = [figure(name).alias(f"{name}_{what}") for name in SIGNALS for what, figure in figures]
    return _hour(rows.groupBy(F.window("at", "1 hour"), "truck_id").agg(F.count("*").alias("samples"), *signals))


def _sessions(rows: DataFrame) -> DataFrame:
    gap = F.session_window("at", _SESSION).alias("gap")
    return (
        rows.where(F.col("session_id").isNotNull())
        .groupBy("session_id", gap)
        .agg(
            F.count("*").alias("events"),
            _count("page_view").alias("page_views"),
            _count("view").alias("viewed"),
            _count("add_to_cart").alias("added"),
            _count("remove_from_cart").alias("removed"),
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
        money: the main currency and the rates of others.
        marks: who and what is forgotten, and stays so.
    """

    def __init__(
        self,
        spark: SparkSession,
        address: KafkaAddress,
        settings: StreamingSettings,
        money: StreamedMoney,
        marks: Forgotten,
    ) -> None:
        self._spark, self._address, self._settings, self._marks = spark, address, settings, marks
        self._run = _run_of(settings.checkpoints)
        spark.dataSource.register(KafkaSource)
        self._late = _Late(settings.database, self._run)
        spark.streams.addListener(self._late)
        live_tables.migrate(settings.database)
        live_tables.set_rates(settings.database, money)

    def start(self, stopped: threading.Event, *, until_caught_up: bool) -> list[StreamingQuery]:
        """Start every query, or as many as there is time for before `stopped` or one fails.

        With `until_caught_up` each ends when it has what lay in Kafka at its start, and the next begins then. Else each
        is waited for until its first batch: it starts Python workers, and Spark gives those ten seconds to connect.
        """
        raw = [partial(self._start, f"raw_{kind}", kind, "append", self._raw) for kind in ("click", "telemetry")]
        queries: list[StreamingQuery] = []
        for start in [*raw, *(partial(self._counting, job) for job in JOBS)]:
            if stopped.is_set() or any(query.exception() for query in queries):
                break
            query = start(until_caught_up)
            queries.append(query)
            while (
                query.isActive and (until_caught_up or query.lastProgress is None) and not stopped.wait(_LOOK_SECONDS)
            ):
                pass
        return queries

    def watch(self, queries: Sequence[StreamingQuery], stopped: threading.Event) -> str | None:
        """Until every query has ended, one has failed, or `stopped`; then none runs any more.

        Spark tells its listeners of the last batches by and by, and a process that ends does not wait for that: so what
        the watermarks dropped is written down here.

        Returns:
            Which query failed, and of what, in one line; None where none did.
        """
        failed: list[StreamingQuery] = []
        while not failed and any(query.isActive for query in queries) and not stopped.wait(_LOOK_SECONDS):
            failed = [query for query in queries if query.exception()]
        failed = failed or [query for query in queries if query.exception()]
        for query in queries:
            query.stop()
            for progress in query.recentProgress:
                self._late.note(progress)
        return f"job {failed[0].name} failed: {_reason(str(failed[0].exception()))}" if failed else None

    def _counting(self, job: Job, until_caught_up: bool) -> StreamingQuery:
        def shape(rows: DataFrame) -> DataFrame:
            return job.shape(_once(rows, job.kind, self._settings.watermark))

        def write(batch: DataFrame, batch_id: int) -> None:
            rows = [row.asDict() for row in batch.collect()]
            live_tables.upsert(
                self._settings.database, job.name, rows, run=self._run, batch_id=batch_id, marks=self._marks
            )

        return self._start(job.name, job.kind, job.mode, write, until_caught_up, shape)

    def _raw(self, batch: DataFrame, batch_id: int) -> None:
        today = datetime.now(UTC).date()
        rows = (row.asDict() for row in batch.drop("touched", *SIGNALS).toLocalIterator())
        raw_events.keep(self._settings.database, rows, days=self._settings.raw_days, today=today, marks=self._marks)
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


class _Late(StreamingQueryListener):
    """Writes down what the watermarks drop."""

    def __init__(self, database: str, run: str) -> None:
        self._database, self._run = database, run

    def onQueryStarted(self, event: Any) -> None:
        log.info("job_started name=%s", event.name)

    def onQueryProgress(self, event: Any) -> None:
        progress = event.progress
        seconds = progress.durationMs.get("triggerExecution", 0) / 1000
        said = (progress.name, progress.batchId, progress.numInputRows, seconds)
        log.info("job_went_on name=%s batch=%d rows=%d seconds=%.1f", *said)
        self.note(progress)

    def note(self, progress: Any) -> None:
        """Write down what one batch dropped; a repeat changes nothing."""
        dropped = sum(operator.numRowsDroppedByWatermark for operator in progress.stateOperators)
        if dropped:
            live_tables.note_late(self._database, progress.name, self._run, progress.batchId, dropped)

    def onQueryIdle(self, event: Any) -> None:
        pass

    def onQueryTerminated(self, event: Any) -> None:
        log.info("job_ended id=%s error=%s", event.id, event.exception)


def _reason(said: str) -> str:
    """What Python raised, of what Spark tells of it over pages; Spark's log has those."""
    _, found, trace = said.partition("=== Streaming Query ===")[0].rpartition("Traceback (most recent call last):\n")
    lines = trace.splitlines() if found else said.splitlines()
    return next((line for line in lines if line.strip() and not line.startswith((" ", "\t"))), "see the log")


def _run_of(checkpoints: Path) -> str:
    """The name of the run, which lives and goes with the checkpoints."""
    file = checkpoints / "run"
    if not file.exists():
        checkpoints.mkdir(parents=True, exist_ok=True)
        atomic_file.write(file, secrets.token_hex(8))
    return file.read_text(encoding="ascii")
