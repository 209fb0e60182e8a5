"""docs/rules.md says what the commands really print."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iot_rules.cli import app
from iot_rules.findings import Finding

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "rules.md").read_text("utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = [
    tuple(example.split("\n", 1)) for block in BLOCKS for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
]


def shown(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(("command", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_prints_what_the_page_shows(command: str, printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    assert words[:2] == ["milepost", "rules"]
    assert shown(CliRunner().invoke(app, words[2:]).output) == shown(printed)


def test_every_command_has_an_example() -> None:
    assert {shlex.split(command)[2] for command, _ in EXAMPLES} == {"list", "check", "test", "eval", "deploy"}


LINTS = ("lint", "lint_actions", "lint_statement", "quotas")


def test_the_page_names_every_code_that_check_finds() -> None:
    sources = [(ROOT / "iot_rules" / f"{name}.py").read_text("utf-8") for name in LINTS]
    codes = {code for source in sources for code in re.findall(r'Finding\(\s*\S+,\s*"([a-z_-]+)"', source)}
    assert len(codes) > 15
    assert all(f"`{code}`" in TEXT for code in codes), sorted(codes)
    assert Finding("r", "c", "m", "r").level == "error"
