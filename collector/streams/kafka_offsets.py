"""Where the workers behind Kafka stand: kept with a backup, and given back to them when it has been restored.

What Kafka has taken was acknowledged, and a worker's store is behind it by what waits. A backup holds the store of one
instant, and Kafka goes on: after a restore its group would stand at what the lost store had taken, and all of that
would be missing. So a backup has the group's offsets of just before its instant (a worker commits them after the
store), and the first `milepost up --stream` or `milepost collect` on the restored directory takes the group back to
them. What is read twice is told by its identity, and counted once.
"""

import json
import logging
import time
from pathlib import Path
from typing import Any

from collector.streams.kafka import SILENT_MS, KafkaAddress
from contract import atomic_file
from contract.errors import Unreachable

log = logging.getLogger(__name__)

USED = "stream"
"""File of the data directory: the URL that `up --stream` or `collect` was given last."""

OFFSETS = "stream-offsets.json"
"""File of a backup, and of a restored directory whose workers have not been taken back yet."""

_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 0.5
_GONE_SECONDS = 4 * SILENT_MS / 1000
"""So long members of the group are waited for: one that was killed counts as there until it was silent for SILENT_MS,
and a busy machine may tell that late."""


def offsets_text(address: KafkaAddress) -> str:
    """The group's offsets of now, for a backup's file.

    Args:
        address: brokers and prefix.

    Returns:
        JSON: topic → partition → the first record that no worker has finished.

    Raises:
        Unreachable: no broker answers.
    """
    consumer, found = _consumer(address), dict[str, dict[str, int]]()
    try:
        for part in _asked(address, consumer):
            first, _ = consumer.get_watermark_offsets(part, _ANSWER_SECONDS)
            found.setdefault(part.topic.removeprefix(address.prefix), {})[str(part.partition)] = max(part.offset, first)
    finally:
        consumer.close()
    return json.dumps(found, indent=1) + "\n"


def take_back(address: KafkaAddress, folder: Path) -> None:
    """Where a backup was restored, take the group back to its offsets; a kill on the way has it done again.

    Kafka allows it while the group has no member. One that was killed is waited for until Kafka takes it for gone.

    Args:
        address: brokers and prefix, which may be others than the backup's.
        folder: the data directory.

    Raises:
        Unreachable: no broker answers, or workers of the group still run.
    """
    from confluent_kafka import KafkaException

    file, deadline = folder / OFFSETS, time.monotonic() + _GONE_SECONDS
    while file.exists():
        try:
            _commit(address, file)
            return
        except KafkaException as error:
            why = error.args[0].str()
        if time.monotonic() > deadline:
            raise Unreachable(
                f"the workers of {address.group} cannot be taken back to the backup's place ({why}): stop every "
                "`milepost collect` of this stream, then start again"
            )
        log.info("stream_not_taken_back_yet why=%s", why)
        time.sleep(_AGAIN_SECONDS)


def _commit(address: KafkaAddress, file: Path) -> None:
    from confluent_kafka import TopicPartition

    kept: dict[str, dict[str, int]] = json.loads(file.read_text(encoding="utf-8"))
    consumer, wanted = _consumer(address), []
    try:
        for part in _asked(address, consumer):
            first, end = consumer.get_watermark_offsets(part, _ANSWER_SECONDS)
            offset = kept.get(part.topic.removeprefix(address.prefix), {}).get(str(part.partition), first)
            offset = first if offset > end else offset  # another cluster, or topics that were made anew
            if offset < first:
                log.error("stream_records_gone topic=%s partition=%d count=%d: Kafka's retention was shorter than the "
                          "backup is old", part.topic, part.partition, first - offset)  # fmt: skip
            wanted.append(TopicPartition(part.topic, part.partition, max(offset, first)))
            log.warning("stream_taken_back topic=%s partition=%d again=%d", part.topic, part.partition, end - offset)
        if wanted:
            consumer.commit(offsets=wanted, asynchronous=False)
    finally:
        consumer.close()
    file.unlink(missing_ok=True)


def note_used(folder: Path, url: str) -> None:
    """Remember for `milepost backup` that this directory's records come through a stream.

    Args:
        folder: the data directory.
        url: as `--stream` was given it; it holds no password.
    """
    atomic_file.write(folder / USED, f"{url}\n", mode=0o600)


def _consumer(address: KafkaAddress) -> Any:
    """One that joins no group."""
    from confluent_kafka import Consumer

    return Consumer(address.client(**{"group.id": address.group, "enable.auto.commit": False, "log_level": 2}))


def _asked(address: KafkaAddress, consumer: Any) -> list[Any]:
    """The group's offsets, a negative one where there is none yet."""
    from confluent_kafka import KafkaException, TopicPartition

    try:
        topics = consumer.list_topics(timeout=_ANSWER_SECONDS).topics
        there = [name for name in address.topics if name in topics]
        parts = [TopicPartition(name, one) for name in there for one in topics[name].partitions]
        return list(consumer.committed(parts, _ANSWER_SECONDS)) if parts else []
    except KafkaException as error:
        raise Unreachable(
            f"no Kafka at {address.brokers} says where its workers stand ({error.args[0].str()}): start it, or mend "
            "[kafka]"
        ) from None
