"""A wrong SQL, a wrong type and a metric that no mart has, each planted in a copy of a tool's own file, are each found.

Those of Grafana on PostgreSQL are in test_grafana.py, of Prometheus and CloudWatch in test_operational_panels.py, of
Streamlit, whose panels are Python, in test_panels.py.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import sqlglot

from dashboards.grafana.generate import FOLDER
from dashboards.quicksight.generate import TEMPLATE
from tests.dashboards.demo import Demo
from tests.dashboards.grafana_files import shown
from tests.dashboards.panel_table import Marts, Shown, query_of, table
from tests.dashboards.test_grafana import ALL_TRUCKS
from tests.dashboards.test_notebook import NOTEBOOK, asked
from tests.dashboards.test_quicksight import as_asked

GRAFANA = FOLDER / "dashboards" / "athena" / "fleet.json"
TOOLS: dict[str, tuple[Path, str, Callable[[Path], Iterable[Shown]]]] = {
    "Grafana": (GRAFANA, "efficiency_truck", lambda file: shown("athena", ALL_TRUCKS, folder=file.parents[1])),
    "QuickSight analyses": (TEMPLATE, "funnel", lambda file: as_asked("Analysis", file)),
    "QuickSight dashboards": (TEMPLATE, "funnel", lambda file: as_asked("Dashboard", file)),
    "Notebook": (NOTEBOOK, "funnel", asked),
}
"""Tool → its file, the panel in which a fault is planted, and how the file's panels are read."""
_OF_FUNNEL = 'sessions FROM \\"${Database}\\".funnel_day'
FAULTS = {
    "Grafana": {
        "SQL": ("SUM(idle_min) AS idle_min, SUM(engine", "SUM(engine_min) AS idle_min, SUM(engine"),
        "type": ("SUM(idle_min) AS idle_min, SUM(engine", "CAST(SUM(idle_min) AS varchar) AS idle_min, SUM(engine"),
        "orphan": ("SUM(idle_min) AS idle_min, SUM(engine", "SUM(co2_kg) AS idle_min, SUM(engine"),
    },
    "QuickSight analyses": {
        "SQL": (_OF_FUNNEL, f"2 * sessions AS {_OF_FUNNEL}"),
        "type": (_OF_FUNNEL, f"CAST(sessions AS varchar) AS {_OF_FUNNEL}"),
        "orphan": (_OF_FUNNEL, f"co2_kg AS {_OF_FUNNEL}"),
    },
    "Notebook": {
        "SQL": ("SELECT step, SUM(sessions)", "SELECT step, MAX(sessions)"),
        "type": ("SELECT step, SUM(sessions)", "SELECT step, CAST(SUM(sessions) AS varchar)"),
        "orphan": ("SELECT step, SUM(sessions)", "SELECT step, SUM(co2_kg)"),
    },
}
FAULTS["QuickSight dashboards"] = FAULTS["QuickSight analyses"]
SAID = {"SQL": (" instead of ",), "type": ("not a number", "does not run"), "orphan": ("co2_kg",)}


@pytest.fixture(scope="module")
def marts(demo: Demo) -> Marts:
    ask = query_of(demo.folder)
    return Marts(lambda sql: ask(sqlglot.transpile(sql, read="athena", write="duckdb")[0]))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", SAID)
def test_a_fault_in_a_tools_file_is_found(tool: str, kind: str, marts: Marts, tmp_path: Path) -> None:
    original, panel, read = TOOLS[tool]
    text, (right, wrong) = original.read_text(encoding="utf-8"), FAULTS[tool][kind]
    assert right in text
    file = tmp_path / original.parent.name / original.name
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    assert {line.fault for line in table(read(file), marts)} == {""}
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    faults = {line.fault for line in table(read(file), marts) if line.panel == panel}
    assert "" not in faults
    assert all(any(said in fault for said in SAID[kind]) for fault in faults), faults


def test_a_panel_that_names_a_metric_of_no_mart_is_found(tmp_path: Path) -> None:
    """In the words under a panel's title, by which a reader looks the figure up."""
    file = tmp_path / "athena" / "fleet.json"
    file.parent.mkdir()
    file.write_text(GRAFANA.read_text(encoding="utf-8").replace("truck_day.idle_min", "truck_day.co2_kg"))
    with pytest.raises(AssertionError, match=r"no panel names .*truck_day\.co2_kg"):
        list(shown("athena", ALL_TRUCKS, folder=tmp_path))
