"""The walls of pyproject.toml hold: wrong imports planted into a copy of the tree are found, each by its contract.

A case is a file, the module that it is given to import, and the contract that must name the two. All are planted into
one copy, since a run of the linter takes seconds; that the tree without them passes is what `make check` shows.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
CIRCLES = "no circles inside a room"

PLANTED = [
    ("contract/codec.py", "agent.errors", "rooms"),
    ("agent/settings.py", "collector.settings", "rooms"),
    ("agent/settings.py", "milepost", "no room knows the front door"),
    ("agent/settings.py", "agent.runtime.service", "inside agent"),
    ("agent/buffer/__init__.py", "agent.sensors.uptime", "inside agent"),
    ("agent/timing/clock.py", "agent.timing.trusted_time", CIRCLES),
    ("iot_rules/engine.py", "collector.queries", "rooms"),
    ("iot_rules/engine.py", "boto3", "boto3 only where AWS is spoken to"),
    ("provisioning/settings.py", "standalone.child_processes", "rooms"),
    ("provisioning/registry/sqlite.py", "provisioning.broker.denial_log", CIRCLES),
    ("collector/stores/factory.py", "collector.ingest", "inside collector"),
    ("collector/queries/trucks.py", "collector.ingest.envelope", "inside collector"),
    ("collector/queries/trucks.py", "warehouse.settings", "rooms"),
    ("collector/history/plan.py", "urllib", "collector.history, clicks"),
    ("collector/clicks/counting.py", "sqlite3", "collector.history, clicks"),
    ("collector/history/plan.py", "contract.machine_clock", "what is pure reads no clock"),
    ("collector/completeness/ledger.py", "time", "collector.history, clicks"),
    ("collector/stores/sqlite/store.py", "boto3", "boto3 only where AWS is spoken to"),
    ("collector/queries/trucks.py", "duckdb", "pyarrow, duckdb, pyiceberg and sqlmesh only in warehouse"),
    ("commerce/settings.py", "collector.ingest", "commerce:"),
    ("commerce/settings.py", "warehouse.settings", "commerce:"),
    ("warehouse/settings.py", "collector.ingest", "warehouse reads"),
    ("warehouse/settings.py", "commerce.settings", "warehouse reads"),
    ("warehouse/settings.py", "streamlit", "streamlit only in dashboards"),
    ("alerts/__init__.py", "collector.ingest", "alerts:"),
    ("console/__init__.py", "collector.ingest", "console:"),
    ("console/__init__.py", "simulator.catalogue", "rooms"),
    ("dashboards/__init__.py", "warehouse.build", "dashboards read"),
    ("dashboards/__init__.py", "pyspark", "pyspark only in streaming"),
    ("streaming/__init__.py", "collector.queries", "streaming:"),
    ("standalone/http_server.py", "deploy.render", "rooms"),
    ("standalone/http_server.py", "pyarrow", "pyarrow, duckdb, pyiceberg and sqlmesh only in warehouse"),
    ("simulator/catalogue.py", "collector.stores", "simulator drives the agent"),
    ("simulator/catalogue.py", "standalone.http_server", "rooms"),
    ("deploy/render.py", "milepost", "no room knows the front door"),
]


def _lint(tree: Path) -> tuple[int, str]:
    """Exit code and text of the linter on this tree, with the tree's rooms before the installed ones."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=tree,
        capture_output=True,
        check=False,
        env={**os.environ, "COLUMNS": "300", "PYTHONPATH": str(tree)},
    )
    return done.returncode, done.stdout.decode() + done.stderr.decode()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rooms and of what the linter reads."""
    copy = tmp_path_factory.mktemp("tree")
    for name in [*ROOMS, "scripts", "milepost.py", "pyproject.toml"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def broken(tree: Path) -> dict[str, str]:
    """Contract → what the linter says of it, with everything planted."""
    for file, module, _ in PLANTED:
        with (tree / file).open("a", encoding="utf-8") as text:
            text.write(f"\nimport {module}\n")
    code, said = _lint(tree)
    assert code == 1, said
    sections = re.split(r"\n([^\n]+)\n-{5,}\n", said.partition("Broken contracts")[2])
    return dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize(("file", "module", "wall"), PLANTED, ids=[f"{file} {module}" for file, module, _ in PLANTED])
def test_a_wrong_import_is_found(broken: dict[str, str], file: str, module: str, wall: str) -> None:
    importer = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    (said,) = [text for name, text in broken.items() if name.startswith(wall)]
    if wall == CIRCLES:  # it names one of the circle's arrows, not always the newest
        siblings = zip(importer.split("."), module.split("."), strict=False)
        first, second = next((f".{one}", f".{other}") for one, other in siblings if one != other)
        assert f"{first} -> {second}" in said or f"{second} -> {first}" in said, said
        return
    assert re.search(rf"{re.escape(importer)} (?:->|imports) {re.escape(module)}\b", said), said
