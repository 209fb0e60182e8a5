"""The doctor's findings as an answer: bounded, and a doctor that fails is a failure and no silence."""

import json
import sys

import pytest

from agent.runtime.commands.doctor_process import findings


def printing(document: object, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.stdout.write({json.dumps(document)!r}); sys.exit({code})"]


def test_the_findings_as_they_are_also_where_checks_failed() -> None:
    checks = [{"check": "disk", "state": "failed", "found": "full", "remedy": "make room"}]
    said = {"healthy": False, "checks": [*checks, {"check": "clock", "state": "ok", "found": "ntp", "remedy": ""}]}
    assert findings(printing(said, code=1)) == {
        "healthy": False,
        "checks": [*checks, {"check": "clock", "state": "ok", "found": "ntp"}],
    }


def test_what_is_too_much_is_cut_and_what_says_ok_goes_first() -> None:
    checks = [{"check": f"c{n}", "state": "failed" if n < 5 else "ok", "found": "x" * 1000} for n in range(60)]
    told = findings(printing({"healthy": False, "checks": checks}))
    assert len(json.dumps(told)) < 8100
    assert [one["check"] for one in told["checks"][:5]] == [f"c{n}" for n in range(5)]
    assert all(len(one["found"]) == 300 for one in told["checks"])


@pytest.mark.parametrize("said", [[], {"checks": 1}, {"checks": ["x"]}, "no document"])
def test_a_doctor_without_findings_is_an_error(said: object) -> None:
    with pytest.raises(ValueError, match="the doctor ended with code 3 and no findings"):
        findings(printing(said, code=3))
