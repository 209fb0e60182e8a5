"""notebooks/exploration.ipynb: runs without a network, answers with the marts' numbers, and is committed empty."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.panels.views import PANELS
from tests.dashboards.demo import Demo
from tests.dashboards.panel_table import Marts, Shown, query_of, table

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "exploration.ipynb"
_RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120).execute()
nbformat.write(notebook, sys.argv[2])
"""


def _cells(notebook: Path = NOTEBOOK) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return found


def asked(notebook: Path = NOTEBOOK) -> Iterator[Shown]:
    """Each answer in the notebook as the panel of its name, with its SQL, where that is fixed."""
    for cell in _cells(notebook):
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
                    called, name, sql = node.value.func, node.targets[0], node.value.args[0]
                    if isinstance(called, ast.Name) and called.id == "ask" and isinstance(sql, ast.Constant):
                        assert isinstance(name, ast.Name)
                        yield Shown("Notebook", "exploration", PANELS[name.id], str(sql.value))


def test_it_is_committed_without_outputs() -> None:
    assert [cell["id"] for cell in _cells() if cell.get("outputs") or cell.get("execution_count")] == []


def test_its_questions_are_answered_by_the_marts(demo: Demo) -> None:
    shown = list(asked())
    assert len(shown) == 9  # the tenth asks for an instant
    lines = table(shown, Marts(query_of(demo.folder)))
    assert [(line.panel, line.fault) for line in lines if line.fault] == []
    assert {line.panel for line in lines if line.value is not None} == {each.panel.name for each in shown}


def test_it_runs_without_a_network(demo: Demo, tmp_path: Path) -> None:
    """In a network namespace of its own, where there is nothing but loopback."""
    done = tmp_path / "done.ipynb"
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace of its own needs root and iproute2")
    environ = {
        **os.environ,
        "MILEPOST_DATA_DIR": str(demo.folder),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    run = [*alone, sys.executable, "-c", _RUN, str(NOTEBOOK), str(done)]
    ended = subprocess.run(run, env=environ, cwd=NOTEBOOK.parents[1], capture_output=True, check=False, timeout=170)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    cells = [cell for cell in json.loads(done.read_text())["cells"] if cell["cell_type"] == "code"]
    pictures = [cell for cell in cells if any("image/png" in output.get("data", {}) for output in cell["outputs"])]
    assert len(pictures) == 10
    as_of = next(cell for cell in cells if "truck_as_of" in "".join(cell["source"]))
    said = ast.literal_eval("".join(as_of["outputs"][-1]["data"]["text/plain"]))
    current = query_of(demo.folder)("SELECT truck_id, order_key FROM truck_history WHERE is_current ORDER BY truck_id")
    assert [row["truck_id"] for row in said] == [row["truck_id"] for row in current]
