"""`milepost` as scripts call it: in this process, for speed; what needs a process of its own has one."""

import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import milepost
from contract import timestamps
from tests.contract.examples import click, put, sample
from tests.milepost_process import Ran

BRAKES = "vehicle_health_and_maintenance.brake_status"
Milepost = Callable[..., Ran]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Milepost:
    """`milepost ARGUMENTS` in an empty working directory, with settings of its own only."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MILEPOST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["milepost", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin))))  # type: ignore[arg-type]
        capfdbinary.readouterr()
        code: Any = 0
        try:
            milepost.main()
        except SystemExit as ended:
            code = ended.code
        out, err = capfdbinary.readouterr()
        return Ran(code or 0, out, err.decode())

    return call


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def write(name: str, *records: Any) -> str:
    Path(name).write_bytes(lines(*records))
    return name


def now_click(**changes: Any) -> dict[str, Any]:
    return click(timestamp=timestamps.from_ms(time.time_ns() // 1_000_000), **changes)


@pytest.fixture
def filled(cli: Milepost) -> Milepost:
    """A data directory with two versions of a truck, one click and one dead letter."""
    worn = put(sample(seq=2, sampled_at="2024-06-01T12:00:00Z"), BRAKES, "worn")
    assert cli("ingest", write("t.jsonl", sample(), worn, {"truck_id": ""})).code == 1
    assert cli("ingest", "--stream", "clicks", write("c.jsonl", now_click())).code == 0
    return cli
