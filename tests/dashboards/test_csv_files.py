"""The files that the dashboard gives are safe to open, and say what the marts say."""

import csv
import io

import pytest

from dashboards.streamlit_app.csv_files import csv_file


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_name_is_no_formula(name: str) -> None:
    [row] = csv.DictReader(io.StringIO(csv_file([{"item_name": name, "count": -3}]), newline=""))
    assert row == {"item_name": f"'{name}", "count": "-3"}


def test_other_texts_and_numbers_stay() -> None:
    rows = [{"item_name": "Camera, compact", "count": 2.5, "day": None}]
    assert csv_file(rows) == 'item_name,count,day\r\n"Camera, compact",2.5,\r\n'
