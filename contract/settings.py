"""One settings file for all rooms: `milepost.toml`, one table per room, overridden by the environment.

Found by `--config`, else `MILEPOST_CONFIG`, else `./milepost.toml`, else `/etc/milepost/milepost.toml`. A variable
`MILEPOST_AGENT__INTERVAL` overrides `[agent] interval`. An unknown table, key or variable is refused by name, because
a setting that is misspelt and silently ignored costs a fleet its data. Each room builds its model once, at its door.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from contract.errors import Misconfigured
from contract.plain_settings import no_boolean_for_a_number
from contract.settings_file import PREFIX, find, table

Model = TypeVar("Model")

_REASONS = {
    "tuple_type": "must be a list in square brackets",
    "list_type": "must be a list in square brackets",
    "dict_type": "must be a table, such as { NAME = VALUE }",
    "model_type": "must be a table, such as { KEY = VALUE }",
    "dataclass_type": "must be a table, such as { KEY = VALUE }",
    "path_type": "must be a path in quotes",
    "string_type": "must be a text in quotes",
}
"""Kind of fault → what would be right, where pydantic says it in Python's words."""
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""Of a model, and of a dataclass."""


class RoomSettings(BaseModel):
    """What every room's settings model derives from: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, given: Any) -> Any:
        return no_boolean_for_a_number(given, _kinds(cls))


def load(room: str, model: type[Model], config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Model:
    """The settings of one room: the file's table, overridden by `MILEPOST_<ROOM>__<KEY>` of the environment.

    Args:
        room: name of the table.
        model: what the table must be: a RoomSettings, or a dataclass (contract.plain_settings).
        config: a file that must be there; None looks where `find` does.
        environ: the environment; for tests.

    Returns:
        The model, with defaults for what is not set.

    Raises:
        Misconfigured: a missing file that was asked for, a file that is not TOML, unknown tables and keys, and values
            that the model refuses; names the file, the key and the remedy.
    """
    path = find(config, environ)
    where = f"{path} or the environment" if path else "the environment"
    return judged(room, model, table(room, config, environ), where)


def judged(room: str, model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """The settings that a table gives.

    Args:
        room: name of the table.
        model: what it must be, as for `load`.
        values: key → value.
        where: they come from, for the message.

    Returns:
        The model, with defaults for what is not set.

    Raises:
        Misconfigured: names the key and the remedy.
    """
    try:
        return TypeAdapter(model).validate_python(values)
    except ValidationError as error:
        raise _misconfigured(error, room, model, where) from None


def _misconfigured(error: ValidationError, room: str, model: type, where: str) -> Misconfigured:
    """The one fault to name first: a key that is unknown is often the misspelling of one that is missing."""
    errors = error.errors(include_url=False)
    first = next((each for each in errors if each["type"] in _UNKNOWN), errors[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] in _UNKNOWN:
        known = ", ".join(sorted(_kinds(_model_at(model, first["loc"][:-1]))))
        return Misconfigured(f"unknown key {key!r} in [{room}] ({where}): known are {known}")
    if first["type"] == "missing":
        variable = f"{PREFIX}{room}__{key}".upper()
        other = f", or {variable} in the environment" if len(first["loc"]) == 1 else ""
        return Misconfigured(f"[{room}] {key} is missing: set it in milepost.toml{other}")
    if isinstance(first["input"], Mapping) and first["type"] in ("tuple_type", "list_type"):
        return Misconfigured(f"[{room}] {key} ({where}): must be [[{room}.{key}]] tables, in double brackets")
    reason = _REASONS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    reason = re.sub("^(Input|String) should (be )?", r"must \2", reason)
    if isinstance(first["input"], Mapping) and first["type"] == "value_error":  # of several keys together
        return Misconfigured(f"[{room}] {key or 'settings'} ({where}): {reason}")
    return Misconfigured(f"[{room}] {key} ({where}): {reason}, not {_without_secrets(first['input'])!r:.80}")


def _kinds(model: type) -> dict[str, Any]:
    """Key → type of a table's model; none for what is no table."""
    if issubclass(model, BaseModel):
        return {key: field.annotation for key, field in model.model_fields.items()}
    return get_type_hints(model) if is_dataclass(model) else {}


def _without_secrets(value: object) -> object:
    """What was given, but for passwords: a message goes to logs and screens."""
    if isinstance(value, Mapping):
        return {key: "…" if key == "password" else _without_secrets(each) for key, each in value.items()}
    return re.sub(r"//[^/@]*@", "//…@", value) if isinstance(value, str) else value


def _model_at(model: type, where: Sequence[int | str]) -> type:
    """The model of the table at `where`, as far as one can be told."""
    for name in where:
        if kind := _kinds(model).get(str(name)):
            inner = (each for each in (kind, *get_args(kind)) if isinstance(each, type) and _kinds(each))
            model = next(inner, model)
    return model
