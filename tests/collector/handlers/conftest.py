"""Handlers as Lambda calls them: a context, settings in the environment, a store of the test's own."""

import base64
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector.handlers import bootstrap
from collector.stores.dynamodb import create_tables
from contract import timestamps
from contract.codec import Json, dump
from deploy.ministack import environment
from tests.collector.handlers.mapping import Record, envelope
from tests.contract.examples import sample
from tests.local_aws import ministack

RECEIVED_MS = time.time_ns() // 1_000_000 // 60_000 * 60_000
"""A whole minute, lately: DynamoDB forgets what is older than 42 days."""


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach a real account, whoever runs it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def context() -> Any:
    return SimpleNamespace(
        function_name="milepost-test",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:milepost-test",
        aws_request_id=str(uuid.uuid4()),
        get_remaining_time_in_millis=lambda: 60_000,
    )


def fresh() -> None:
    """As if the process had just begun."""
    for built in (bootstrap.settings, bootstrap.store, bootstrap.ingest):
        built.cache_clear()


@pytest.fixture(params=["sqlite", "dynamodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new store that the handlers use, of each kind."""
    url = f"sqlite:///{tmp_path / 'milepost.db'}"
    if request.param == "dynamodb":
        stack, prefix = ministack(), f"t{uuid.uuid4().hex[:8]}"
        for name, value in environment(stack.url).items():
            monkeypatch.setenv(name, value)
        create_tables(stack.client("dynamodb"), prefix)
        url = f"dynamodb://{prefix}"
    monkeypatch.setenv("MILEPOST_STORE", url)
    fresh()
    yield url
    if bootstrap.store.cache_info().currsize:
        bootstrap.store().close()
    fresh()


def message(payload: bytes | Json, number: int, truck_id: str = "T1", **more: Json) -> Record:
    """What a rule puts into the stream for one MQTT message."""
    data = payload if isinstance(payload, bytes) else dump(payload).encode()
    wrapped = {
        "data": base64.b64encode(data).decode("ascii"),
        "truck_id": truck_id,
        "client_id": truck_id,
        "received_at": RECEIVED_MS,
        **more,
    }
    return envelope(json.dumps(wrapped).encode(), number, key=truck_id, arrived_ms=RECEIVED_MS)


def minutes(truck_id: str, numbers: Sequence[int], **changes: Json) -> list[dict[str, Any]]:
    """Samples of one truck, a minute apart, whose tyre loses a band every ten."""
    made = []
    for seq in numbers:
        health = sample()["vehicle_health_and_maintenance"]
        tyres = {**health["tire_pressure"], "front_left": 102 - seq // 10 * 20 % 100}
        made.append(
            sample(
                truck_id=truck_id,
                stream_id=f"s-{truck_id}",
                seq=seq,
                sampled_at=timestamps.from_ms(RECEIVED_MS - (180 - seq) * 60_000),
                vehicle_health_and_maintenance={**health, "tire_pressure": tyres},
                **changes,
            )
        )
    return made
