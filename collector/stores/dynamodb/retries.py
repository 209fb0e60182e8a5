"""Calls to DynamoDB: tried again with full jitter while it says "later", and its errors in our words."""

import math
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from contract.errors import Misconfigured, Retryable

_ATTEMPTS = 8
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0
_LATER = {
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_LATER_REASONS = {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
_OURS = {"ValidationException", "SerializationException", "IdempotentParameterMismatchException"}

Answer = dict[str, Any]


class ConditionFailed(Exception):
    """A condition did not hold. `failed`: for each item of a transaction, was it that one's.

    item: what stands there instead, where a single write asked for it by `ReturnValuesOnConditionCheckFailure`.
    """

    def __init__(self, failed: tuple[bool, ...] = (True,), item: Answer | None = None) -> None:
        super().__init__("a condition did not hold")
        self.failed = failed
        self.item = item or {}


class NoTable(Misconfigured):
    """A table of the prefix is not there."""


class Calls:
    """The one way to a client, which is built on first use.

    Raises Retryable after the last attempt, ConditionFailed, Misconfigured for tables or credentials that are not
    there; the SDK's ClientError only for a request that no repetition makes right.
    """

    def __init__(
        self,
        client: Any = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._chance = chance
        self.seconds_left: Callable[[], float] = lambda: math.inf
        """After a failed attempt there is another one only while this is over 0."""

    def __call__(self, operation: str, **arguments: Any) -> Answer:
        """One call, e.g. `calls("get_item", TableName=…)`."""
        transaction = operation == "transact_write_items"
        token, maybe_done = uuid.uuid4().hex, False
        for attempt in range(_ATTEMPTS):
            if transaction:
                arguments["ClientRequestToken"] = token
            try:
                answer: Answer = getattr(self.client, operation)(**arguments)
                return answer
            except Exception as error:  # judged below; what is not DynamoDB's saying "later" is raised
                known = _later(error)
                if known is None:
                    raise
                maybe_done |= known
                if not maybe_done:  # it is certain that no attempt did anything: not the same request any more
                    token = uuid.uuid4().hex
                if attempt + 1 == _ATTEMPTS or self.seconds_left() <= 0:
                    raise Retryable(f"DynamoDB {operation}: {error}; tried {attempt + 1} times") from error
                self.pause(attempt)
        raise AssertionError("unreachable")

    def pause(self, attempt: int) -> None:
        """Wait before the attempt after this one (0 is the first)."""
        self._sleep(self._chance() * min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt))

    def pages(self, operation: str, **arguments: Any) -> Iterator[Answer]:
        """Every page of a query or a scan, asked for when it is wanted; a Limit holds for the first page only."""
        while True:
            answer = self(operation, **arguments)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            arguments.pop("Limit", None)

    def items(self, operation: str, **arguments: Any) -> Iterator[Answer]:
        """Every item of a query or a scan."""
        for page in self.pages(operation, **arguments):
            yield from page.get("Items", ())

    def batch_get(self, table: str, keys: list[Answer], **more: Any) -> list[Answer]:
        """The items of any number of different keys that are there, in no order; strongly consistent."""
        found: list[Answer] = []
        for first in range(0, len(keys), 100):
            wanted = {table: {"Keys": keys[first : first + 100], "ConsistentRead": True, **more}}
            found.extend(self._whole_batch("batch_get_item", wanted, "UnprocessedKeys", table))
        return found

    def _whole_batch(self, operation: str, wanted: Mapping[str, Any], left: str, table: str) -> list[Answer]:
        found: list[Answer] = []
        for attempt in range(_ATTEMPTS):
            answer = self(operation, RequestItems=wanted)
            found.extend(answer.get("Responses", {}).get(table, ()))
            wanted = answer.get(left) or {}
            if not wanted:
                return found
            self.pause(attempt)
        raise Retryable(f"DynamoDB {operation} left items undone {_ATTEMPTS} times")

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = _connect()
        return self._client


def _connect() -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import NoRegionError

        from collector.stores.dynamodb.lean_client import CONNECT_TIMEOUT, READ_TIMEOUT, lean
    except ImportError:
        raise Misconfigured("a DynamoDB store needs boto3: pip install 'milepost[aws]'") from None
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        max_pool_connections=16,
        retries={"total_max_attempts": 1},
    )
    try:
        return lean(boto3.client("dynamodb", config=config))
    except NoRegionError:
        raise Misconfigured("no AWS region: set AWS_REGION") from None


def _later(error: Exception) -> bool | None:
    """Is it worth trying again: None if not, True where it may have been done all the same, else False.

    Raises what the error means in our words, where it means something else.
    """
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, NoCredentialsError

    if isinstance(error, NoCredentialsError):
        raise Misconfigured("no AWS credentials: run aws configure, or set AWS_PROFILE") from None
    if isinstance(error, HTTPClientError | ConnectionError):
        return True
    if not isinstance(error, ClientError):
        return None
    code = error.response.get("Error", {}).get("Code", "")
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(item=error.response.get("Item")) from None
    if code == "TransactionCanceledException":
        return _cancelled(error)
    if code == "ResourceNotFoundException":
        raise NoTable(f"DynamoDB: {error}: deploy the template first, or mend dynamodb://PREFIX") from None
    if code in _OURS:
        return None
    broken = bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
    if code in _LATER or broken:
        return broken or code == "TransactionInProgressException"
    raise Retryable(f"DynamoDB refused: {error}") from error  # rights or credentials: no fault of the record's


def _cancelled(error: Any) -> bool | None:
    codes = [reason.get("Code") or "None" for reason in error.response.get("CancellationReasons", ())]
    if "ConditionalCheckFailed" in codes:
        raise ConditionFailed(tuple(code == "ConditionalCheckFailed" for code in codes)) from None
    return False if _LATER_REASONS.intersection(codes) else None
