"""Documents judged without pydantic: their model accepts what is called plain, and judges the rest."""

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.telemetry import Telemetry
from contract.wire_documents import Unfit, is_plain, understood
from contract.wire_models import MODELS
from tests.contract.test_plain_samples import EDGES, PATHS, WIDE, changed, json

PLAIN: dict[str, dict[str, Any]] = {
    "telemetry": WIDE,
    "resend": {"stream_id": "s1", "ranges": [[1, 5], [7, 7]]},
    "time": {"id": "a1", "ms": 1_700_000_000_000},
    "config": {
        "config_version": 7,
        "interval": 30,
        "since_last": False,
        "send_interval": 0,
        "report_interval": 60,
        "daily_budget": None,
        "lanes": {"publishes_per_second": 0.1, "kib_per_second": 5.5, "batch_records": 1, "batch_bytes": 1000},
    },
}
KEYS = [*PLAIN["config"], *PLAIN["resend"], *PLAIN["time"], "unknown"]
SMALL = [[[1, 2, 3]], [[2, 1]], [[1, 2.0]], [[1, "2"]], {"batch_bytes": None}, {"batch_bytes": 5}, {"unknown": 1}, 0.5]


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(EDGES) | json), max_size=3))
@example([("truck_id", None)])
@example([("time_quality", [])])
def test_the_model_accepts_a_plain_sample(changes: list[tuple[str, Any]]) -> None:
    record = copy.deepcopy(WIDE)
    for path, value in changes:
        record = changed(record, path, copy.deepcopy(value))
    if is_plain("telemetry", record):
        Telemetry.model_validate(record)


@given(st.sampled_from(["resend", "time", "config"]), st.sampled_from(KEYS), st.sampled_from(EDGES + SMALL))
@example("resend", "ranges", [[2, 1]])
@example("config", "interval", float("inf"))
def test_the_model_makes_nothing_else_of_what_is_plain(name: str, key: str, value: Any) -> None:
    document = {**PLAIN[name], key: value}
    if is_plain(name, document):
        read = MODELS[name].model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert read == document


@pytest.mark.parametrize("name", PLAIN)
def test_a_document_of_every_key_is_plain(name: str) -> None:
    assert is_plain(name, PLAIN[name])
    assert understood(name, PLAIN[name]) is PLAIN[name]


def test_what_is_not_plain_is_read_as_the_model_reads_it() -> None:
    read = understood("resend", {"stream_id": "s1", "ranges": [["1", 5]], "mood": "fine"})
    assert read == {"stream_id": "s1", "ranges": [(1, 5)], "mood": "fine"}


def test_every_fault_is_told_with_its_place() -> None:
    with pytest.raises(Unfit, match="stream_id: String should match") as unfit:
        understood("resend", {"stream_id": "", "ranges": [[2, 1]]})
    assert [fault.where for fault in unfit.value.faults] == [("stream_id",), ("ranges", 0)]
    assert "first ≤ last" in unfit.value.faults[1].reason
