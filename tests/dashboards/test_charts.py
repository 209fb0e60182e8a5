"""What a chart leaves out of a line that has more values than its width shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dashboards.panels.views import PANELS
from dashboards.streamlit_app.charts import charts

PANEL = PANELS["battery_hour"]
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
MOST = 242


def drawn(lines: dict[str, list[float]]) -> dict[str, list[tuple[datetime, float]]]:
    """What the chart of these hourly values draws of each truck."""
    rows: list[dict[str, Any]] = [
        {"truck_id": truck, "hour": FIRST + timedelta(hours=hour), PANEL.measures[0].result: value}
        for truck, values in lines.items()
        for hour, value in enumerate(values)
    ]
    (chart,) = charts(PANEL, rows)
    found: dict[str, list[tuple[datetime, float]]] = {}
    for row in chart.data.to_dict("records"):
        found.setdefault(row["series"], []).append((row["time"].to_pydatetime(), row["value"]))
    return found


@given(st.lists(st.floats(9, 15), min_size=1, max_size=2000))
def test_a_line_keeps_its_ends_its_lowest_and_its_highest_value(values: list[float]) -> None:
    (points,) = drawn({"TRUCK-1": values}).values()
    whole = [(FIRST + timedelta(hours=hour), value) for hour, value in enumerate(values)]
    assert len(points) <= MOST
    assert set(points) <= set(whole)
    assert points == sorted(points, key=lambda each: each[0])
    assert (points[0], points[-1]) == (whole[0], whole[-1])
    assert min(value for _, value in points) == min(values)
    assert max(value for _, value in points) == max(values)


def test_a_line_of_ten_days_is_drawn_whole() -> None:
    values = [12 + hour % 5 for hour in range(240)]
    (points,) = drawn({"TRUCK-1": [float(each) for each in values]}).values()
    assert [value for _, value in points] == values


def test_each_truck_is_thinned_for_itself() -> None:
    found = drawn({"TRUCK-1": [12.0] * 720, "TRUCK-2": [11.0] * 24})
    assert len(found["TRUCK-2"]) == 24
    assert found["TRUCK-1"][-1] == (FIRST + timedelta(hours=719), 12.0)
