"""A ministack of our own: AWS's services in one process, on a free loopback port, ended by its id."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tests.ministack
from iot_rules.clients import Clients

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach a real account, whoever runs it."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint's URL."""
    with tests.ministack.running(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@pytest.fixture
def aws(ministack: str) -> Callable[[str], Any]:
    """A boto3 client of a service of ministack."""
    return Clients("us-east-1", ministack).get
