"""A ministack of a test's own: AWS's services in one process on free loopback ports, which dies with the tests."""

import atexit
import contextlib
import importlib.util
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.ministack import Ministack

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextlib.contextmanager
def running(folder: Path, **settings: str) -> Iterator[str]:
    """Yields the endpoint's URL; its state is gone at the end. Skips the test where ministack is not installed."""
    if importlib.util.find_spec("ministack") is None or importlib.util.find_spec("boto3") is None:
        pytest.skip("ministack is not installed (pip install 'ministack[full]'): AWS is not tested")
    with Ministack(folder, settings={"LOG_LEVEL": "WARNING", **settings}) as stack:
        yield stack.url


def client(url: str, service: str = "dynamodb") -> Any:
    """A boto3 client of a running ministack, which no setting of the machine's leads elsewhere."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16, proxies={}),
    )


@cache
def shared() -> str:
    """The URL of one for the whole session, started when first asked for: give your tables a prefix of their own."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="milepost-ministack-"))
    return stack.enter_context(running(Path(folder)))


class Metered:
    """A DynamoDB client that adds up the capacity which its calls consume, by operation."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.units: dict[str, float] = defaultdict(float)
        self.transactions: list[int] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            if operation == "transact_write_items":
                self.transactions.append(len(arguments["TransactItems"]))
            answer = getattr(self._inner, operation)(**arguments, ReturnConsumedCapacity="TOTAL")
            consumed = answer.get("ConsumedCapacity", [])
            for each in consumed if isinstance(consumed, list) else [consumed]:
                self.units[operation] += each["CapacityUnits"]
            return answer

        return call

    def take(self) -> tuple[float, float]:
        """Write units and read units since the last time."""
        written = sum(units for operation, units in self.units.items() if operation in _WRITES)
        read = sum(units for operation, units in self.units.items() if operation not in _WRITES)
        self.units.clear()
        return written, read


_WRITES = {"put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item"}
