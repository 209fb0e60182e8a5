"""What SQLMesh renders of the project is what the warehouse runs."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.milepost_process import REPOSITORY, environment
from warehouse import rendering


def test_rendered_files_are_those_of_the_models(tmp_path: Path) -> None:
    """Run `python -m warehouse.rendering` after a change of a model."""
    command = [sys.executable, "-m", "warehouse.rendering", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, env=environment(), check=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(made) == {f"{engine}.json" for engine in rendering.DIALECTS}
    for name, text in made.items():
        assert (rendering.RENDERED / name).read_text(encoding="utf-8") == text, name


def test_the_models_unit_tests_pass_in_sqlmesh(tmp_path: Path) -> None:
    """`sqlmesh test` on a copy, since SQLMesh writes beside the project."""
    project = shutil.copytree(rendering.PROJECT, tmp_path / "models")
    command = [Path(sys.executable).with_name("sqlmesh"), "--paths", project, "test"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Successfully Ran `6` Tests" in done.stdout


def test_every_mart_says_what_it_holds() -> None:
    for model in rendering.models("duckdb"):
        assert model.description, model.name
        if model.name.startswith("marts."):
            assert model.audits, model.name
            assert model.grain, model.name


def test_the_page_of_metrics_is_that_of_the_models() -> None:
    assert rendering.METRICS.read_text(encoding="utf-8") == rendering.metrics()
