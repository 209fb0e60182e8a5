"""The systemd timers and the example DAG: units that systemd accepts, commands that Milepost has."""

import ast
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.milepost_here import run
from tests.milepost_process import REPOSITORY

UNITS = REPOSITORY / "deploy/systemd"
DAG = REPOSITORY / "docs/examples/milepost_dag.py"


def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    """With a program that this machine has in place of the installed one."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    program = shutil.which("true")
    names = sorted(path.name for path in UNITS.iterdir())
    for name in names:
        text = (UNITS / name).read_text().replace("/opt/milepost/bin/milepost", str(program))
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "milepost-" in line]
    assert ours == []
    assert len(names) == 4


def commands_of_the_units() -> list[str]:
    texts = [path.read_text() for path in UNITS.glob("*.service")]
    return [found for text in texts for found in re.findall(r"^ExecStart=/opt/milepost/bin/(milepost .*)$", text, re.M)]


def commands_of_the_dag() -> list[str]:
    """The words of each bash_command; the folder's name stands as {DATA}."""
    found = []
    for node in ast.walk(ast.parse(DAG.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "bash_command":
            assert isinstance(node.value, ast.JoinedStr)
            parts = [part.value if isinstance(part, ast.Constant) else "DATA" for part in node.value.values]
            found.append("".join(map(str, parts)))
    return found


def test_the_units_and_the_dag_run_commands_that_there_are() -> None:
    """With options that they have."""
    commands = [shlex.split(command) for command in (*commands_of_the_units(), *commands_of_the_dag())]
    assert len(commands) == 5
    for group, command in sorted({(words[1], words[2]) for words in commands}):
        told = run(group, command, "--help").out.decode()
        used = {word for words in commands if words[1:3] == [group, command] for word in words if word[:2] == "--"}
        assert used == {"--data-dir"}
        assert "--data-dir" in told, command


def test_the_dag_is_python_and_its_tasks_stand_in_a_row() -> None:
    """Airflow itself is not installed here."""
    tree = compile(DAG.read_text(), str(DAG), "exec", ast.PyCF_ONLY_AST)
    last = ast.unparse(tree).splitlines()[-1].strip()
    assert last == "lake >> sound >> marts"
