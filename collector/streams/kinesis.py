"""Kinesis Data Streams as a `Stream`: PutRecords within its limits, what it refuses put again in order.

Limits (API_PutRecords): 500 records and 5 MiB a request, 1 MiB a record, its key included. The service has since
allowed more where a stream is configured so; these hold on every stream.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from collector.portions import portions
from collector.streams import Record
from contract.errors import Rejected, Retryable, Unreachable

log = logging.getLogger(__name__)

MAX_RECORDS = 500
MAX_REQUEST = 5 * 1024 * 1024
MAX_RECORD = 1024 * 1024
MAX_KEY = 256
ATTEMPTS = 8
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_FOR_GOOD = frozenset({
    "AccessDeniedException", "ExpiredTokenException", "InvalidArgumentException", "KMSAccessDeniedException",
    "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "ResourceNotFoundException",
    "UnrecognizedClientException", "ValidationException",
})  # fmt: skip


def connect(name: str, *, deadline: float = 10.0) -> "KinesisStream":
    """The stream of that name, in the region and account that boto3 finds."""
    import boto3
    from botocore.config import Config

    timeouts = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return KinesisStream(boto3.client("kinesis", config=timeouts), name, deadline=deadline)


class KinesisStream:
    """client: boto3's, of Kinesis. deadline: seconds after which `put` gives up retrying.

    sleep, clock: the standard library's, for whoever tests.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        deadline: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._name = name
        self._deadline = deadline
        self._sleep = sleep
        self._clock = clock

    def put(self, records: Sequence[Record]) -> list[Rejected | None]:
        """As `Stream.put`; Unreachable where the stream does not exist or may not be written."""
        refused = [_fault(record) for record in records]
        good = [record for record, fault in zip(records, refused, strict=True) if fault is None]
        ends = self._clock() + self._deadline
        done = 0
        for request in portions(good, size_of, largest=MAX_REQUEST, most=MAX_RECORDS):
            self._put(request, ends, done, len(good))
            done += len(request)
        return refused

    def _put(self, request: list[Record], ends: float, done: int, total: int) -> None:
        """One request until all of it is taken: the next one must not overtake what was refused of this."""
        wait, asked = _FIRST_WAIT, len(request)
        for attempt in range(1, ATTEMPTS + 1):
            request, reason = self._attempt(request)
            if not request:
                return
            pause = random.uniform(0, wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            if attempt == ATTEMPTS or self._clock() + pause > ends:
                break
            self._sleep(pause)
        taken = done + asked - len(request)
        raise Retryable(f"{self._name}: {taken} of {total} records taken, then {reason}: send all again later")

    def _attempt(self, request: list[Record]) -> tuple[list[Record], str]:
        """What was not taken, in order, and the first reason."""
        from botocore.exceptions import BotoCoreError, ClientError

        entries = [{"Data": record.data, "PartitionKey": record.key} for record in request]
        try:
            answer = self._client.put_records(StreamName=self._name, Records=entries)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _FOR_GOOD:
                raise Unreachable(
                    f"Kinesis refuses to write to {self._name}: {error}: deploy the stream, or grant kinesis:PutRecords"
                ) from None
            return request, code or str(error)
        except BotoCoreError as error:
            return request, str(error)
        results = zip(request, answer["Records"], strict=True)
        left = [(record, result["ErrorCode"]) for record, result in results if result.get("ErrorCode")]
        if not left:
            return [], ""
        log.info("records_refused stream=%s count=%d of=%d first=%s", self._name, len(left), len(request), left[0][1])
        return [record for record, _ in left], left[0][1]


def size_of(record: Record) -> int:
    """Bytes that count against the limits."""
    return len(record.data) + len(record.key.encode("utf-8", "surrogatepass"))


def _fault(record: Record) -> Rejected | None:
    if not 1 <= len(record.key) <= MAX_KEY:
        return Rejected("", f"a stream key has 1 to {MAX_KEY} characters, not {len(record.key)}")
    if (size := size_of(record)) > MAX_RECORD:
        return Rejected("", f"{size} bytes in one stream record: {MAX_RECORD} at most, send less in one message")
    return None
