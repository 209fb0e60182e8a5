"""Report, status and resend: the control messages of gap repair, and their topics."""

import pytest
from pydantic import BaseModel, ValidationError

from contract import topics
from contract.control_messages import Report, Resend, Status


def test_a_report_as_an_agent_sends_it() -> None:
    report = Report.model_validate(
        {
            "stream_id": "s1",
            "oldest_retained": 3,
            "highest_seq": 90,
            "pending": [[80, 90]],
            "thinned": [{"from": 10, "to": 20, "keep_every": 5}],
            "gone": [[1, 2]],
            "closed": False,
        }
    )
    assert (report.pending, report.thinned[0].from_, report.gone) == ([(80, 90)], 10, [(1, 2)])


def test_a_report_may_say_little_and_more_than_we_know() -> None:
    report = Report.model_validate({"stream_id": "s1", "highest_seq": 0, "mood": "fine"})
    assert (report.pending, report.gone, report.closed) == ([], [], False)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (Report, {}),
        (Report, {"stream_id": "s1"}),
        (Report, {"stream_id": "s 1", "highest_seq": 1}),
        (Report, {"stream_id": "s1", "highest_seq": -1}),
        (Report, {"stream_id": "s1", "highest_seq": 2**63}),
        (Report, {"stream_id": "s1", "highest_seq": 1, "pending": [[2, 1]]}),
        (Report, {"stream_id": "s1", "highest_seq": 1, "pending": [[0, 1]]}),
        (Report, {"stream_id": "s1", "highest_seq": 1, "gone": [[1]]}),
        (Report, {"stream_id": "s1", "highest_seq": 1, "gone": [[1, 2, 3]]}),
        (Report, {"stream_id": "s1", "highest_seq": 1, "thinned": [{"from": 1, "to": 2, "keep_every": 0}]}),
        (Status, {"state": "asleep"}),
        (Resend, {"stream_id": "s1"}),
        (Resend, {"stream_id": "s1", "ranges": [["a", "b"]]}),
    ],
)
def test_what_makes_no_sense_is_refused(model: type[BaseModel], wrong: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(wrong)


def test_topics_are_those_of_the_filters() -> None:
    ours = [topics.telemetry("T1"), topics.batch("T1"), topics.report("T1"), topics.status("T1")]
    assert ours == [pattern.replace("+", "T1") for pattern in topics.UPLINK]
    assert topics.resend("T1") == "fleet/T1/resend"


@pytest.mark.parametrize("wrong", ["", "a" * 65, "a/b", "a+", "#", "a\n", "ä"])
def test_an_identifier_is_safe_in_a_topic(wrong: str) -> None:
    assert not topics.ID.fullmatch(wrong)
    assert topics.ID.fullmatch("Truck-001_b")
