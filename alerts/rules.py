"""Rules: read from TOML, judged by name."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.errors import Misconfigured
from contract.settings import Room
from contract.telemetry import LEAVES


class AlertSettings(Room):
    """The `[alerts]` table of milepost.toml. rules: a TOML file of rules instead of the shipped ones."""

    rules: Path | None = None


class Rule(BaseModel):
    """One rule.

    kind: `above` and `below` compare a number with value; `words` looks for any of words in a status; `fault` is one
    alert per fault code; `silent` is no sample while other trucks report. minutes: for how long it must hold.
    while_running: only with the engine turning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    kind: Literal["above", "below", "words", "fault", "silent"]
    severity: Literal["info", "warning", "critical"]
    field: str | None = None
    value: float | None = None
    words: tuple[str, ...] = ()
    minutes: float = Field(default=0, ge=0)
    while_running: bool = False

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> "Rule":
        if self.kind != "silent" and self.field not in LEAVES:
            raise ValueError(f"field {self.field!r} is no measured field: see docs/wire.md for the names")
        if self.kind in ("above", "below") and self.value is None:
            raise ValueError(f"kind {self.kind} needs a value")
        if self.kind == "words" and not self.words:
            raise ValueError("kind words needs words")
        return self


def load_rules(path: Path | None = None) -> list[Rule]:
    """The rules of a file, or the shipped ones, by name.

    Raises:
        Misconfigured: it cannot be read, or a rule is wrong; the message names the rule and what would be right.
    """
    try:
        text = (
            path.read_text("utf-8") if path else (resources.files("alerts") / "shipped_rules.toml").read_text("utf-8")
        )
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"[alerts] rules {path}: {error}") from None
    return [_rule(name, table) for name, table in sorted(tables.items())]


def _rule(name: str, table: object) -> Rule:
    try:
        return Rule.model_validate({"name": name, **(table if isinstance(table, dict) else {})})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise Misconfigured(f"alert rule {name!r}: {field + ': ' if field else ''}{reason}") from None
