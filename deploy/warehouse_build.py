"""The scheduled build on AWS: the archive that Firehose keeps in S3 → lake → marts → Parquet in S3, for Athena.

`python -m deploy.warehouse_build BUCKET FOLDER`, run by deploy/warehouse.yaml. FOLDER lasts from run to run: it
has the store that the archive makes (docs/migrating.md), the lake and the marts, so that a run takes what is new. A run
that is killed is taken up by the next; a second one at the same time is refused.
"""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3

from contract import atomic_file, machine_clock, timestamps
from contract.codec import dump
from contract.errors import Retryable, Unreachable

ARCHIVE, MARTS = "archive", "marts"
NAMESPACE = "Milepost/Warehouse"
_STREAMS = ("telemetry", "clicks")
_AGAIN = 2  # days: Firehose tries a delivery again for a day, under the date of the record's arrival


def build(bucket: str, folder: Path) -> dict[str, Any]:
    """Take what is new in the archive, bring lake and marts up to date, and replace the marts in the bucket.

    Args:
        bucket: has the archive under `archive/`, and gets each mart as `marts/MART/part.parquet`, replaced one by one.
        folder: on a disk that lasts; is made where it is missing.

    Returns:
        `{accepted, rejected, lake_build, marts, lag_s}`: records taken in, the lake build, mart → rows, and seconds
        from the newest record's arrival to now, null without any. lag_s and rejected are told to CloudWatch.

    Raises:
        Retryable: another run works in the folder.
        Unreachable: a step failed; what it said is in the text. What earlier steps made stays; the next run goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return _build(bucket, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Retryable(f"another run works in {folder}: the next one takes what it leaves") from None
        yield


def _build(bucket: str, folder: Path) -> dict[str, Any]:
    taken = _take(bucket, folder)
    lake = _milepost(folder, "lake", "build")
    marts = _milepost(folder, "warehouse", "build")["marts"]
    _milepost(folder, "warehouse", "export", str(folder / MARTS))
    _upload(bucket, folder / MARTS)
    received = [table.get("last_received_at") for table in _milepost(folder, "lake", "info")["tables"]]
    newest = max((each for each in received if each), default=None)
    lag_s = None if newest is None else (machine_clock.now_ms() - timestamps.to_ms(newest)) / 1000
    _tell(lag_s, taken["rejected"])
    return {**taken, "lake_build": lake["build"], "marts": marts, "lag_s": lag_s}


def _take(bucket: str, folder: Path) -> dict[str, int]:
    """Ingest the archive: whole at first, then the days since the last run, with _AGAIN days of what came late."""
    mark, today = folder / "archive_taken_until", timestamps.from_ms(machine_clock.now_ms())[:10]
    prefixes = [""]
    if mark.exists():
        first = date.fromisoformat(mark.read_text(encoding="utf-8")) - timedelta(days=_AGAIN)
        days = (date.fromisoformat(today) - first).days
        prefixes = [f"date={first + timedelta(days=number)}/" for number in range(days + 1)]
    taken = {"accepted": 0, "rejected": 0}
    for stream in _STREAMS:
        under = [f"s3://{bucket}/{ARCHIVE}/{stream}/{prefix}" for prefix in prefixes]
        # exit 1: records were refused, and are kept as dead letters
        sums = _milepost(folder, "ingest", "--stream", stream, *under, fine=(0, 1), plain=True)
        taken = {name: count + sums[name] for name, count in taken.items()}
    atomic_file.write(mark, today)
    return taken


def _milepost(folder: Path, *arguments: str, fine: tuple[int, ...] = (0,), plain: bool = False) -> Any:
    command = [sys.executable, "-P", "-m", "milepost", *arguments, "--data-dir", str(folder)]
    done = subprocess.run([*command, *([] if plain else ["--json"])], capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise Unreachable(f"milepost {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _upload(bucket: str, folder: Path) -> None:
    """The marts' files, each replaced in one put; which build they are of after them; what is no mart any more last."""
    client = boto3.client("s3")
    wanted = set()
    for path in sorted(folder.glob("*/*.parquet"), key=lambda each: (each.parent.name == "build", each)):
        key = f"{MARTS}/{path.parent.name}/{path.name}"
        client.upload_file(str(path), bucket, key)
        wanted.add(key)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{MARTS}/"):
        for each in page.get("Contents", ()):
            if each["Key"] not in wanted:
                client.delete_object(Bucket=bucket, Key=each["Key"])


def _tell(lag_s: float | None, rejected: int) -> None:
    found = {"RejectedRecords": float(rejected), **({} if lag_s is None else {"LagSeconds": lag_s})}
    data = [{"MetricName": name, "Value": value} for name, value in found.items()]
    boto3.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)


if __name__ == "__main__":
    print(dump(build(sys.argv[1], Path(sys.argv[2]))))  # noqa: T201 - the run's log
