"""The groups since_last and custom, losses before a number (never_stored), and time from the cloud."""

import pytest
from pydantic import BaseModel, ValidationError

from contract import records, topics
from contract.control_messages import Report, TimeAnswer, TimeAsk
from contract.telemetry import Telemetry

SINCE = {
    "seconds": 60.0,
    "readings": 6000,
    "min": {"engine_diagnostics.engine_rpm": 892},
    "max": {"engine_diagnostics.engine_rpm": 3158},
    "mean": {"engine_diagnostics.engine_rpm": 2004.5},
    "moving_seconds": 50,
    "idle_seconds": 10,
    "distance_km": 1.2,
    "fuel_l": 0.3,
    "harsh": [{"kind": "braking", "at": "2026-11-28T10:00:00.000Z", "peak": 4.2}],
    "faults": [
        {"spn": 980, "fmi": 9, "source": 0, "first": "2026-11-28T10:00:00.000Z", "last": "2026-11-28T10:00:05.000Z"}
    ],
}


def test_a_sample_with_both_groups_is_known_whole_and_read_back() -> None:
    record = {"truck_id": "T1", "sampled_at": "2026-11-28T10:01:00.000Z", "since_last": SINCE, "custom": {"door": True}}
    sample = records.read_sample(record, received_ms=1_795_860_060_000, date_by_arrival=True)
    assert sample.unknown == ()
    read = records.document(sample.record, sampled_at=sample.sampled_at, by_arrival=False)
    assert (read["since_last"], read["custom"]) == (SINCE, {"door": True})


@pytest.mark.parametrize("name", ["Door", "1a", "", "a" * 65])
def test_a_custom_name_is_a_plain_word(name: str) -> None:
    with pytest.raises(ValidationError):
        Telemetry.model_validate({"truck_id": "T1", "custom": {name: 1}})


def test_never_stored_is_a_list_by_process_and_the_old_bare_count_costs_no_report() -> None:
    runs = [{"run": "a1", "count": 3, "from": "2026-11-28T10:00:00.000Z", "to": "2026-11-28T10:03:00.000Z"}]
    report = Report.model_validate({"stream_id": "s", "highest_seq": 1, "never_stored": runs})
    assert (report.never_stored[0].run, report.never_stored[0].count) == ("a1", 3)
    assert Report.model_validate({"stream_id": "s", "highest_seq": 1, "never_stored": 7}).never_stored == []


@pytest.mark.parametrize(
    ("model", "wrong"), [(TimeAsk, {"id": ""}), (TimeAsk, {"id": "a" * 65}), (TimeAnswer, {"id": "a"})]
)
def test_time_messages_have_an_id_and_the_answer_a_time(model: type[BaseModel], wrong: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(wrong)


def test_the_time_topics_are_a_trucks_own() -> None:
    assert topics.time_ask("T1") == topics.TIME_ASK.replace("+", "T1")
    assert topics.time("T1") == "fleet/T1/time"
