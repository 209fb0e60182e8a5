"""The golden suite: the reference's examples and tables, through the code path of `milepost rules test`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from iot_rules.cli import app

CASES = sorted((Path(__file__).parent / "cases").glob("*.jsonl"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_case_of_a_reference_page_passes(file: Path) -> None:
    result = CliRunner().invoke(app, ["test", str(file)])
    assert result.exit_code == 0, result.output
    assert result.output.endswith(" passed, 0 failed\n")


def test_every_case_names_its_page() -> None:
    lines = [line for file in CASES for line in file.read_text("utf-8").splitlines()]
    assert len(lines) > 700
    assert all('"page": "' in line for line in lines)
