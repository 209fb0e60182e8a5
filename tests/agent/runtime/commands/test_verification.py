"""Only the operator's commands, only to this truck, only while they are good: whatever else comes is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.runtime.commands.verification import NotObeyed, understand, untimely
from contract.commands import LONGEST_LIFE, Command
from contract.timestamps import from_datetime
from tests.agent.operator import Operator
from tests.agent.trucks import TRUCK

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(tmp_path_factory.mktemp("operator"))


def why(operator: Operator, payload: bytes, key_file: Path | None = None) -> str:
    with pytest.raises(NotObeyed) as refused:
        understand(payload, TRUCK, key_file or operator.file)
    return str(refused.value)


def test_what_the_operator_signed_for_this_truck_is_understood(operator: Operator) -> None:
    command = operator.command("snapshot", arguments={"seconds": 5})
    assert understand(operator.payload(command), TRUCK, operator.file)._asdict() == command


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_one_altered_byte_of_text_or_signature_is_enough(operator: Operator, data: st.DataObject) -> None:
    signed = operator.sign(operator.command())
    key = data.draw(st.sampled_from(["command", "signature"]))
    raw = bytearray(signed["command"].encode() if key == "command" else base64.b64decode(signed["signature"]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 127))
    altered = raw.decode() if key == "command" else base64.b64encode(bytes(raw)).decode()
    why(operator, json.dumps(signed | {key: altered}).encode())


@given(payload=st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(repr))
@settings(max_examples=80, deadline=None)
def test_what_is_no_command_is_refused_without_a_fault(operator: Operator, payload: Any) -> None:
    why(operator, payload if isinstance(payload, bytes) else payload.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"truck_id": "T2"}, "it is for another truck, T2"),
        ({"id": "short"}, "id: String should match pattern"),
        ({"issued_at": "now"}, "issued_at: String should match pattern"),
        ({"expires_at": "2026-13-01T00:00:00.000Z"}, "expires_at: '2026-13-01T00:00:00.000Z' is not a time"),
        ({"also": 1}, "also: Extra inputs are not permitted"),
        ({"arguments": []}, "arguments: Input should be a valid dictionary"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_signed_one_that_is_wrong_is_refused_and_says_what(
    operator: Operator, changed: dict[str, Any], reason: str
) -> None:
    assert why(operator, operator.payload(operator.command(**changed))).startswith(reason)


def test_another_fleets_operator_is_not_obeyed(operator: Operator, tmp_path: Path) -> None:
    other = Operator(tmp_path)
    assert "its signature is not by the key in" in why(operator, other.payload(other.command()))


def test_a_truck_without_a_key_says_where_it_belongs(operator: Operator, tmp_path: Path) -> None:
    payload = operator.payload(operator.command())
    with pytest.raises(NotObeyed, match=r"no command key: set \[agent\] command_key to a copy"):
        understand(payload, TRUCK, None)
    missing = tmp_path / "identity" / "command.pub"
    assert why(operator, payload, missing) == (
        f"this truck has no command key: copy the fleet's provisioning/command.pub to {missing}"
    )
    damaged = tmp_path / "damaged.pub"
    damaged.write_text("no key")
    assert "cannot be read as a public key" in why(operator, payload, damaged)


def test_too_large_is_not_read(operator: Operator) -> None:
    assert why(operator, operator.payload(operator.command(arguments={"more": "x" * 4000}))) == "over 4096 bytes"


@given(
    issued=st.integers(-1_000_000, 1_000_000),
    life=st.integers(-10, LONGEST_LIFE + 10),
    floor=st.integers(-1_000_000, 1_000_000) | st.none(),
)
def test_good_exactly_from_its_issue_to_its_end_and_above_what_was_forgotten(
    issued: int, life: int, floor: int | None
) -> None:
    """Times in seconds from now; five minutes of a sender's clock ahead are allowed."""
    begin = NOW + timedelta(seconds=issued)
    end = begin + timedelta(seconds=life)
    command = Command(
        truck_id=TRUCK,
        id="0" * 32,
        name="report",
        arguments={},
        issued_at=from_datetime(begin),
        expires_at=from_datetime(end),
    )
    forgotten = "" if floor is None else from_datetime(NOW + timedelta(seconds=floor))
    possible = 0 < life <= LONGEST_LIFE and (floor is None or issued + life > floor)
    assert (untimely(command, NOW, forgotten) is None) == (possible and issued <= 300 and issued + life > 0)
    assert (untimely(command, None, forgotten) is None) == possible
