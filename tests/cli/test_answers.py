"""What `history --at` and `audit` answer."""

import pytest

from tests.cli.conftest import Milepost, write
from tests.contract.examples import sample


def test_history_at_a_time_without_a_zone_is_utc(filled: Milepost) -> None:
    [row] = filled("history", "T1", "--at", "2024-06-01 11:59:30", "--json").json
    assert (row["effective_start_date"], row["is_current"]) == ("2024-06-01T11:59:00.000Z", False)
    [row] = filled("history", "T1", "--at", "2024-06-01T14:00:00+02:00", "--json").json
    assert row["is_current"]
    assert filled("history", "T1", "--at", "2024-06-01T11:58:59Z", "--json").json == []


def test_audit_is_exit_1_for_a_hole_that_is_no_longer_late(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("ingest", write("t.jsonl", sample(seq=1), sample(seq=3)))
    early = cli("audit", "--json")
    assert (early.code, early.json["trucks"][0]["late"]) == (0, [[2, 2]])
    monkeypatch.setenv("MILEPOST_COLLECTOR__RESEND_AFTER", "0.000001")
    late = cli("audit", "--json")
    assert (late.code, late.json["trucks"][0]["holes"], late.json["trucks"][0]["late"]) == (1, [[2, 2]], [])
    assert cli("audit").code == 1
    assert cli("audit", "T9", "--json").json == {"lost": 0, "trucks": []}
