"""Collectors on DynamoDB."""

from collections.abc import Iterator

import pytest

from tests.collector.stores.cloud import Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """Skips the test where ministack is not installed."""
    opened = Cloud()
    yield opened
    opened.close()
