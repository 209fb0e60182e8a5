"""boto3 clients, each built on first use, and what their errors mean to a command."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contract.errors import Misconfigured, Unreachable


class Clients:
    """One client a service, shared. region and endpoint_url: "" leaves them to boto3's own configuration.

    Raises Misconfigured where boto3 is not installed, or no region is known.
    """

    def __init__(self, region: str = "", endpoint_url: str = "") -> None:
        self._region = region or None
        self._endpoint_url = endpoint_url or None
        self._built: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, service: str) -> Any:
        """The client of a service, built once.

        Args:
            service: boto3's name: "kinesis", "s3", …

        Returns:
            May be used by several threads.
        """
        with self._lock:
            if service not in self._built:
                self._built[service] = self._build(service)
            return self._built[service]

    def _build(self, service: str) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import NoRegionError
        except ImportError:
            raise Misconfigured("this needs boto3: install it with pip install 'milepost[aws]'") from None
        config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        try:
            return boto3.client(service, region_name=self._region, endpoint_url=self._endpoint_url, config=config)
        except NoRegionError:
            raise Misconfigured("no AWS region: set AWS_REGION, or region in [iot_rules]") from None


@contextmanager
def account_errors() -> Iterator[None]:
    """What boto3 raises as errors that a command knows: Unreachable (exit 3) or Misconfigured (exit 2)."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

    try:
        yield
    except NoCredentialsError:
        raise Misconfigured("no AWS credentials: run aws configure, or set AWS_PROFILE") from None
    except (HTTPClientError, ConnectionError) as error:
        raise Unreachable(f"AWS IoT cannot be reached: {error}: look at the network and the region") from None
    except ClientError as error:
        raise Misconfigured(f"AWS refused: {error}") from None
    except BotoCoreError as error:
        raise Misconfigured(f"boto3: {error}") from None
