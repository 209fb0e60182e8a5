"""The reconnect storm: trucks that come back at once with a backlog lose none of it, and nothing is stored twice."""

from pathlib import Path

import pytest

from benchmarks import storm


@pytest.mark.parametrize(
    ("count", "backlog"), [(20, 50), pytest.param(500, 400, marks=pytest.mark.prove, id="at length")]
)
def test_everything_arrives_once(count: int, backlog: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert storm.run(count, backlog, tmp_path)
    assert f"{count * backlog:,} samples" in capsys.readouterr().out
