"""Ingest of a prefix in S3, object by object; an interrupted run goes on after the last object that it took whole."""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from collector.ingest import Ingest
from collector.ingest.jsonl import documents, ingest_lines, open_lines
from collector.streams.s3_objects import S3Objects
from contract import atomic_file

log = logging.getLogger(__name__)


def ingest_objects(taker: Ingest, objects: S3Objects, stream: str, folder: Path) -> Iterator[dict[str, int]]:
    """Take every object; gives the sums after each, of this run.

    Args:
        taker: to which store.
        objects: where from.
        stream: "telemetry" or "clicks", for objects that are not of the archive.
        folder: where the last key that was taken stands while a run is not at its end; a run that ends removes it, so
            that the next one also finds objects whose keys are lower.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    yield dict(counts)
    place = f"{objects.bucket}/{objects.prefix} {stream}"
    mark = folder / f".ingest-{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
    after = json.loads(mark.read_text("utf-8"))["after"] if mark.exists() else ""
    if after:
        log.warning("ingest_goes_on after=%s", after)
    folder.mkdir(parents=True, exist_ok=True)
    for key in objects.keys(after):
        done = dict.fromkeys(counts, 0)
        with objects.opened(key) as path, open_lines(path) as lines:
            for sums in ingest_lines(taker, documents(lines), stream, clock_ms=lambda: time.time_ns() // 1_000_000):
                done = sums
        counts = {status: count + done[status] for status, count in counts.items()}
        atomic_file.write(mark, json.dumps({"of": place, "after": key}))
        yield dict(counts)
    mark.unlink(missing_ok=True)
