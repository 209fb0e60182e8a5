"""What `up --stream` puts between the doors and ingest: Kafka, one worker of this machine, and an eye on its lag.

Promises to the doors: a future is done when Kafka has the records (acks=all). What Kafka can never take, being too
large, goes straight to the store's writer, which dead-letters it or keeps it: nothing is lost for its size.
"""

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from collector.ingest import items_of_stream_record
from collector.ingest.stream_puts import put_items
from collector.streams import Record
from collector.streams.kafka import KafkaAddress, KafkaStream, lag, make_topics
from collector.streams.kafka_offsets import note_used, take_back
from contract.errors import Unreachable
from contract.ingest_items import Item, Receipt
from iot_rules.actions import Delivery
from standalone.child_processes import Child, Children
from standalone.group_commit_writer import Writer

log = logging.getLogger(__name__)

_PUTS = 4
_LAG_SECONDS = 5.0
_RESTART_SECONDS = 1.0


class KafkaDoors:
    """Stands where the writer stands without a stream; `open` it first. Raises Unreachable where no broker answers.

    Args:
        url: `kafka://…`, as the worker is given it.
        address: of that URL.
        options: further arguments of `milepost collect`, such as `--data-dir DIR`.
    """

    def __init__(self, url: str, address: KafkaAddress, options: Sequence[str]) -> None:
        self._url, self._address = url, address
        self._argv = [sys.executable, "-P", "-m", "milepost", "collect", "--stream", url, *options]
        self._lag: Mapping[str, int] = {}
        self._restarts = 0

    def open(self, writer: Writer, folder: Path) -> None:
        """Make the topics, take the workers back where a backup was restored, and connect.

        Args:
            writer: takes what Kafka cannot.
            folder: the data directory.

        Raises:
            Unreachable: no broker answers, or other workers run where a backup was restored.
        """
        note_used(folder, self._url)
        make_topics(self._address)
        take_back(self._address, folder)
        self._writer = writer
        streams = {kind: KafkaStream(self._address, topic, deadline=20) for topic, kind in self._address.topics.items()}
        self._telemetry, self._clicks = streams["telemetry"], streams["click"]
        self._pool = ThreadPoolExecutor(_PUTS, thread_name_prefix="kafka")

    def close(self) -> None:
        """Send what was submitted."""
        self._pool.shutdown()
        for stream in (self._telemetry, self._clicks):
            stream.close()

    def submit(self, items: list[Item]) -> "Future[list[Receipt]]":
        """As `Writer.submit`, for the HTTP doors; duplicates are not known."""
        stream = self._clicks if items and items[0].kind == "click" else self._telemetry
        return self._pool.submit(put_items, stream, items)

    @staticmethod
    def unpack(delivery: Delivery) -> list[Record]:
        """What a rule's Kinesis action would put, as one record."""
        return [Record(str(delivery.parameters["partitionKey"]), delivery.payload)]

    def forward(self, records: list[Record]) -> "Future[None]":
        """As `Writer.submit`, for the trucks' messages."""
        return self._pool.submit(self._forward, records)

    def _forward(self, records: list[Record]) -> None:
        refused = self._telemetry.put(records)
        for record, fault in zip(records, refused, strict=True):
            if fault is not None:
                log.warning("record_beside_kafka key=%s reason=%s", record.key, fault.reason)
                self._writer.submit(items_of_stream_record(record.data)).result()

    def figures(self) -> dict[str, int]:
        """Records that no worker has finished, by topic, and how often this machine's worker was started again."""
        return {**{f"lag_{topic}": count for topic, count in self._lag.items()}, "worker_restarts": self._restarts}

    def supervise(self, children: Children, folder: Path, *, stop: threading.Event) -> None:
        """Keep one worker alive."""
        worker = self._spawn(children, folder)
        while not stop.wait(_RESTART_SECONDS):
            if not worker.alive:
                log.warning("worker_died returncode=%s", worker.returncode)
                self._restarts += 1
                worker = self._spawn(children, folder)
        worker.stop(10.0)

    def _spawn(self, children: Children, folder: Path) -> Child:
        return children.spawn(self._argv, name="collect", log=folder / "collect.log")

    def watch(self, *, stop: threading.Event) -> None:
        """Look at the lag every few seconds."""
        while not stop.wait(_LAG_SECONDS):
            try:
                self._lag = lag(self._address)
            except Unreachable as error:
                log.warning("lag_unknown reason=%s", error)
