"""Ingest of a prefix in S3, object by object; an interrupted run goes on after the last object that it took whole."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from collector.ingest import Ingest, dynamodb_export
from collector.ingest.documents import documents
from collector.ingest.jsonl import OtherEncoding, ingest_lines, lines_of
from collector.streams.s3_objects import S3Objects
from contract import atomic_file, machine_clock
from contract.errors import Rejected

log = logging.getLogger(__name__)


EXPORT = "dynamodb-export://"
"""What the URL of a DynamoDB table's export begins with, in place of `s3://`."""


def ingest_objects(
    taker: Ingest, objects: S3Objects, stream: str, folder: Path, *, exported: bool = False
) -> Iterator[dict[str, int]]:
    """Take every object; gives the sums after each, of this run.

    Args:
        taker: to which store.
        objects: where from.
        stream: "telemetry" or "clicks", for objects that are not of the archive.
        folder: where the last key that was taken stands while a run is not at its end; a run that ends removes it, so
            that the next one also finds objects whose keys are lower.
        exported: they are a DynamoDB table's export: only its data are read.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    yield dict(counts)
    place = f"{objects.bucket}/{objects.prefix} {stream}"
    mark = folder / f".ingest-{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
    after = json.loads(mark.read_text("utf-8"))["after"] if mark.exists() else ""
    if after:
        log.warning("ingest_goes_on after=%s", after)
    folder.mkdir(parents=True, exist_ok=True)
    for key in objects.names(after):
        if exported and not dynamodb_export.holds_items(key):
            continue
        done = dict.fromkeys(counts, 0)
        try:
            name = f"s3://{objects.bucket}/{key}"
            with objects.opened(key) as path, path.open("rb") as file, lines_of(file, name) as lines:
                found = dynamodb_export.records(lines) if exported else documents(lines)
                for sums in ingest_lines(taker, found, stream, clock_ms=machine_clock.now_ms):
                    done = sums
        except (OtherEncoding, Rejected) as fault:  # of this object alone: the others are taken
            log.error("object_not_taken_whole reason=%s", fault)
            done = {**done, "rejected": done["rejected"] + 1}
        counts = {status: count + done[status] for status, count in counts.items()}
        atomic_file.write(mark, json.dumps({"of": place, "after": key}))
        yield dict(counts)
    mark.unlink(missing_ok=True)
