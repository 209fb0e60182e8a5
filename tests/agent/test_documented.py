"""docs/agent.md tells of every setting, every command and every alarm."""

import re
from dataclasses import fields
from pathlib import Path

from agent.cli import app
from agent.settings import LIVE, AgentSettings, BasicIngest, LaneSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "agent.md").read_text()


def _keys(settings: type) -> set[str]:
    return {field.name for field in fields(settings)}


def _rows(title: str) -> list[list[str]]:
    """The cells of the table in a section."""
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    return [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]


def test_every_setting_is_explained_and_what_is_live_is_marked() -> None:
    rows = {name: row for row in _rows("Settings") for name in re.findall(r"`([a-z_.]+)`", row[0])}
    plain = set(_keys(AgentSettings)) - {"lanes", "basic_ingest"}
    lanes = {f"lanes.{key}" for key in _keys(LaneSettings)}
    assert plain | lanes <= set(rows)
    assert {f".{key}" for key in _keys(BasicIngest)} <= {f".{name.split('.')[-1]}" for name in rows}
    live = {name.split(".")[0] for name, row in rows.items() if row[-1].strip() == "yes"}
    assert live == LIVE


def test_every_command_is_listed() -> None:
    named = set(re.findall(r"`(?:milepost agent )?([a-z]+)`", " ".join(row[0] for row in _rows("Commands"))))
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert commands <= named


def test_every_alarm_is_explained() -> None:
    found = set()
    for path in [*(ROOT / "agent").glob("*.py"), *(ROOT / "agent").glob("[bdet]*/*.py")]:
        found |= set(re.findall(r'log\.(?:warning|error|exception)\(\s*"([a-z_]+)', path.read_text()))
    explained = set(re.findall(r"`([a-z_]+)`", " ".join(row[0] for row in _rows("What the log says"))))
    assert found - explained == set()
    assert "disconnected" in explained
